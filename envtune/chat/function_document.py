"""Tool documents in the form that chat templates take as ``tools``: a function with a JSON schema.

BFCL's documents have Python's types ``dict``, ``float`` and ``tuple``; models were trained on those of JSON schema.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from envtune.task import REQUIRED_CUE, ToolDocument

# In BFCL's descriptions, a sentence about the tool's class precedes this marker.
_OWN_DESCRIPTION = "Tool description:"
# A schema without a type allows any value.
_TYPES = {"dict": "object", "float": "number", "tuple": "array", "any": None}
_BY_NAME = frozenset({"properties", "patternProperties", "$defs"})


def function_document(tool: ToolDocument, compact: bool = False) -> dict[str, Any]:
    """Return the document of a tool as a function.

    Args:
        tool: the tool.
        compact: keep only the first sentence of the description, and no descriptions of parameters and results.
    """
    function = {
        "name": tool.name,
        "description": purpose(tool) if compact else tool.description,
        "parameters": _schema(tool.parameters, compact),
    }
    if tool.response and not compact:
        function["response"] = _schema(tool.response, compact)
    return {"type": "function", "function": function}


def purpose(tool: ToolDocument) -> str:
    """Return the first sentence of a tool's own description."""
    description = " ".join(tool.description.split(_OWN_DESCRIPTION)[-1].split())
    return re.split(r"(?<=[.!?])\s", description, maxsplit=1)[0]


def _schema(schema: Mapping[str, Any], compact: bool) -> dict[str, Any]:
    plain: dict[str, Any] = {}
    for key, part in schema.items():
        if key == "type" and isinstance(part, str):
            plain[key] = _TYPES.get(part, part)
        elif key == "description" and compact:
            plain[key] = REQUIRED_CUE if str(part).startswith(REQUIRED_CUE) else None
        elif key in _BY_NAME and isinstance(part, Mapping):
            plain[key] = {name: _part(inner, compact) for name, inner in part.items()}
        elif isinstance(part, list) and key in ("anyOf", "oneOf", "allOf"):
            plain[key] = [_part(inner, compact) for inner in part]
        else:
            plain[key] = _part(part, compact) if key in ("items", "additionalProperties") else part
    return {key: part for key, part in plain.items() if part is not None or key == "default"}


def _part(part: Any, compact: bool) -> Any:
    return _schema(part, compact) if isinstance(part, Mapping) else part
