"""The system prompt: role, form of a response, rules of a turn, and tool documents, before the chat template.

The wording is this project's own. The protocol gives the form of a response; where the chat template explains it and
renders the documents itself, both are left out. The paper uses a short prompt in stages 1-2 and adds notes in stages
3-4; ``instructions`` selects one of them.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from envtune.chat.function_document import function_document, purpose
from envtune.chat.protocol import PAPERS
from envtune.chat.protocol.response_protocol import ResponseProtocol
from envtune.checked import Among, checked
from envtune.task import REQUIRED_CUE, ToolDocument

TOOL_DOCUMENTS = ("full", "compact")
INSTRUCTIONS = ("short", "long")

_ROLE = "You work for a user by calling tools. The user speaks in turns; each turn asks for one thing."

_RULES = """- Call tools, step by step, until the request is done; if a call fails, read why and try otherwise.
- An answer ends the turn. Answer once the request is done, or when it cannot be done."""

_NOTES = """

Notes:
- If a value is missing, first see whether another tool can give it; ask the user, with an answer, only if none can.
- If no offered tool does what is asked, say so in an answer; do not invent tools, parameters or values.
- Do what was asked and no more. What earlier turns changed is still in place."""

_TYPES = {"string": "str", "integer": "int", "float": "float", "number": "float", "boolean": "bool", "array": "list"}


@checked
@dataclass(frozen=True)
class PromptStyle:
    """The style of the system prompt.

    Args:
        tool_documents: ``full`` for each tool's JSON document, ``compact`` for one line with signature and purpose, or,
            in protocols with documents in JSON only, for documents without descriptions of parameters and results.
        instructions: ``short`` for protocol and rules of a turn, ``long`` with notes.
        thinking: the position of the chat template's own switch for thoughts, ``on`` or ``off`` (YAML reads both as
            booleans); None leaves the switch alone.

    Raises:
        UserError: a value is not one of these.
    """

    tool_documents: Annotated[str, Among(TOOL_DOCUMENTS)] = "full"
    instructions: Annotated[str, Among(INSTRUCTIONS)] = "long"
    thinking: Literal["on", "off"] | bool | None = None

    @property
    def thinks(self) -> bool | None:
        """The value of the chat template's switch for thoughts; None leaves it alone."""
        return self.thinking == "on" if isinstance(self.thinking, str) else self.thinking

    def system_prompt(
        self, tools: Sequence[ToolDocument], further: str = "", protocol: ResponseProtocol = PAPERS
    ) -> str:
        """Return the system message of an episode that starts with ``tools``, followed by ``further`` text."""
        # Further text without tools contains their documents in its own format.
        documents = f"\n\nTools:\n{self._documents(tools, protocol)}" if tools or not further else ""
        rules = self._rules(protocol)
        return f"{_ROLE}\n\n{protocol.form}\n\n{rules}{documents}" + (f"\n\n{further}" if further else "")

    def undocumented_prompt(self, further: str, protocol: ResponseProtocol) -> str:
        """Return the system message for a chat template that explains calls and documents tools itself."""
        return f"{_ROLE}\n\n{self._rules(protocol)}" + (f"\n\n{further}" if further else "")

    def handed_over(self, tools: Sequence[ToolDocument], protocol: ResponseProtocol = PAPERS) -> str:
        """Return the text that introduces tools of a later turn; empty without tools."""
        return f"New tools:\n{self._documents(tools, protocol)}" if tools else ""

    def native_documents(self, tools: Sequence[ToolDocument]) -> list[dict[str, Any]]:
        """Return the documents as chat templates take them."""
        return [function_document(tool, self.tool_documents == "compact") for tool in tools]

    def _rules(self, protocol: ResponseProtocol) -> str:
        return f"- {protocol.rule}\n{_RULES}{_NOTES if self.instructions == 'long' else ''}"

    def _documents(self, tools: Sequence[ToolDocument], protocol: ResponseProtocol) -> str:
        if protocol.is_native:
            return "\n".join(json.dumps(document, ensure_ascii=False) for document in self.native_documents(tools))
        document = compact_document if self.tool_documents == "compact" else full_document
        return "\n".join(document(tool) for tool in tools)


def full_document(tool: ToolDocument) -> str:
    """Return the whole document as one line of JSON."""
    document = {"name": tool.name, "description": tool.description, "parameters": tool.parameters}
    if tool.response:
        document["response"] = tool.response
    return json.dumps(document, ensure_ascii=False)


def compact_document(tool: ToolDocument) -> str:
    """Return signature and purpose: ``tail(file_name: str, lines: int = 10): Display the last part of a file.``

    An optional parameter shows its default, or ``?`` if the document has none; a required one its cue, if it has one.
    Allowed values stand in the place of the type, with cues and without.
    """
    required = set(tool.parameters.get("required", ()))
    properties = tool.parameters.get("properties", {})
    signature = ", ".join(_parameter(name, schema, name in required) for name, schema in properties.items())
    return f"{tool.name}({signature}): {purpose(tool)}"


def _parameter(name: str, schema: Mapping[str, Any], required: bool) -> str:
    kind = _type(schema)
    if required:
        cue = f"{REQUIRED_CUE} " if str(schema.get("description", "")).startswith(REQUIRED_CUE) else ""
        return f"{cue}{name}: {kind}"
    default = schema.get("default")
    # BFCL writes a missing default as the text "None".
    return f"{name}?: {kind}" if default in (None, "None") else f"{name}: {kind} = {json.dumps(default)}"


def _type(schema: Mapping[str, Any]) -> str:
    kind = str(schema.get("type", "any"))
    if schema.get("enum"):
        return "|".join(json.dumps(value, ensure_ascii=False) for value in schema["enum"])
    if kind == "array" and schema.get("items"):
        return f"list[{_type(schema['items'])}]"
    if "anyOf" in schema:
        return "|".join(map(_type, schema["anyOf"]))
    if kind in ("dict", "object") and schema.get("properties"):
        return "{" + ", ".join(f"{name}: {_type(inner)}" for name, inner in schema["properties"].items()) + "}"
    return _TYPES.get(kind, kind)
