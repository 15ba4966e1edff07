"""The system prompt: role, response protocol, rules of a turn, and tool documents, before the chat template.

The wording is this project's own. The paper uses a short prompt in stages 1-2 and adds notes in stages 3-4;
``instructions`` selects one of them.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from envtune.checked import Among, checked
from envtune.task import REQUIRED_CUE, ToolDocument

TOOL_DOCUMENTS = ("full", "compact")
INSTRUCTIONS = ("short", "long")

_SHORT = """You work for a user by calling tools. The user speaks in turns; each turn asks for one thing.

Every response has exactly one of these two forms, with nothing outside the tags and each tag once:
<think>your reasoning</think><tool_call>[{"name": "tool", "arguments": {"parameter": "value"}}]</tool_call>
<think>your reasoning</think><answer>your words to the user</answer>

- A tool call is a JSON list of one or more calls. They run in order and you then read their results.
- Call tools, step by step, until the request is done; if a call fails, read why and try otherwise.
- An answer ends the turn. Answer once the request is done, or when it cannot be done."""

_NOTES = """

Notes:
- If a value is missing, first see whether another tool can give it; ask the user, with an answer, only if none can.
- If no offered tool does what is asked, say so in an answer; do not invent tools, parameters or values.
- Do what was asked and no more. What earlier turns changed is still in place."""

_TYPES = {"string": "str", "integer": "int", "float": "float", "number": "float", "boolean": "bool", "array": "list"}
# In BFCL's descriptions, a sentence about the tool's class precedes this marker.
_OWN_DESCRIPTION = "Tool description:"


@checked
@dataclass(frozen=True)
class PromptStyle:
    """The style of the system prompt.

    Args:
        tool_documents: ``full`` for each tool's JSON document, ``compact`` for one line with signature and purpose.
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

    def system_prompt(self, tools: Sequence[ToolDocument], further: str = "") -> str:
        """Return the system message of an episode that starts with ``tools``, followed by ``further`` text."""
        notes = _NOTES if self.instructions == "long" else ""
        # Further text without tools contains their documents in its own format.
        documents = f"\n\nTools:\n{self._documents(tools)}" if tools or not further else ""
        return f"{_SHORT}{notes}{documents}" + (f"\n\n{further}" if further else "")

    def handed_over(self, tools: Sequence[ToolDocument]) -> str:
        """Return the text that introduces tools of a later turn; empty without tools."""
        return f"New tools:\n{self._documents(tools)}" if tools else ""

    def _documents(self, tools: Sequence[ToolDocument]) -> str:
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
    description = " ".join(tool.description.split(_OWN_DESCRIPTION)[-1].split())
    first_sentence = re.split(r"(?<=[.!?])\s", description, maxsplit=1)[0]
    return f"{tool.name}({signature}): {first_sentence}"


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
