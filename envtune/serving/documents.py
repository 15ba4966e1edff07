"""Converts tools in OpenAI's format to the tool documents of training.

Training uses BFCL's documents, whose schemas contain ``dict`` and ``float`` instead of JSON schema's ``object`` and
``number``. BFCL's harness translates them for OpenAI's endpoint and adds remarks (bfcl-eval 2026.3.23). This conversion
reverses that, so that the agent gets the documents of its training.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from envtune.serving.refusal import Refusal, refuse
from envtune.task import ToolDocument

MAX_DEPTH = 20
_TYPES = {"object": "dict", "number": "float"}
# Remarks that BFCL's harness adds to descriptions.
_LANGUAGE_REMARK = " Note that the provided function is in Python 3 syntax."
_FLOAT_REMARK = " This is a float type value."


def read_tools(entries: Any, max_tools: int) -> tuple[ToolDocument, ...]:
    """Return the documents of a request's ``tools``.

    Raises:
        Refusal: an entry is not a function with a name and a schema, or two entries have equal names.
    """
    if not isinstance(entries, list):
        refuse("must be a list of tools", "tools")
    if len(entries) > max_tools:
        raise Refusal(413, f"there are {len(entries)} tools: at most {max_tools} are allowed", "tools")
    tools = tuple(_document(entry, f"tools[{index}]") for index, entry in enumerate(entries))
    names = [tool.name for tool in tools]
    if len(set(names)) < len(names):
        refuse("contains two tools with the same name", "tools")
    return tools


def _document(entry: Any, param: str) -> ToolDocument:
    function = entry.get("function") if isinstance(entry, dict) else None
    if not isinstance(function, dict) or entry.get("type", "function") != "function":
        refuse('must be {"type": "function", "function": {…}}', param)
    name, description = function.get("name"), function.get("description") or ""
    if not isinstance(name, str) or not name:
        refuse("must be a string that is not empty", f"{param}.function.name")
    if not isinstance(description, str):
        refuse("must be a string", f"{param}.function.description")
    parameters = function.get("parameters") or {"type": "object", "properties": {}}
    _check_schema(parameters, f"{param}.function.parameters")
    # Not a field of OpenAI, but BFCL's harness sends it.
    response = function.get("response") or {}
    if not isinstance(response, dict):
        refuse("must be an object", f"{param}.function.response")
    return ToolDocument(name, description.removesuffix(_LANGUAGE_REMARK), _as_trained(parameters), response)


def _check_schema(schema: Any, param: str, depth: int = 0) -> None:
    """Validate the parts of a schema that the prompt uses: properties, required, enum and items, recursively."""
    if not isinstance(schema, dict):
        refuse("must be a JSON schema that is an object", param)
    if depth > MAX_DEPTH:
        refuse(f"is more than {MAX_DEPTH} levels deep", param)
    properties, required = schema.get("properties", {}), schema.get("required", [])
    if not isinstance(schema.get("enum", []), list):
        refuse("must be a list of values", f"{param}.enum")
    if not isinstance(properties, dict):
        refuse("must be an object", f"{param}.properties")
    if not isinstance(required, list) or not all(isinstance(name, str) for name in required):
        refuse("must be a list of names", f"{param}.required")
    for name, inner in properties.items():
        _check_schema(inner, f"{param}.properties.{name[:40]}", depth + 1)
    if schema.get("items"):
        _check_schema(schema["items"], f"{param}.items", depth + 1)


def _as_trained(schema: Mapping[str, Any]) -> dict[str, Any]:
    trained = dict(schema)
    if isinstance(trained.get("type"), str):
        trained["type"] = _TYPES.get(trained["type"], trained["type"])
    if trained.get("format") == "float":
        del trained["format"]
        trained["description"] = str(trained.get("description", "")).removesuffix(_FLOAT_REMARK)
    if trained.get("items"):
        trained["items"] = _as_trained(trained["items"])
    if "properties" in trained:
        trained["properties"] = {name: _as_trained(inner) for name, inner in trained["properties"].items()}
    return trained
