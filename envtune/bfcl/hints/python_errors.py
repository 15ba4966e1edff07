"""Hints for results that are the text of a Python exception. They apply to the tools of any domain."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache
from typing import Any

from envtune.bfcl.benchmark import tool_documents
from envtune.bfcl.worlds import TOOLBOXES
from envtune.environment.augmentation.document_fault import DocumentFault, FaultKind, first_fault
from envtune.environment.augmentation.rule import TYPE_NAMES, Readable, Rule, quoted
from envtune.task import ToolCall

WRONG_TYPE = (
    r"not supported between instances of|can.t multiply sequence",
    r"unsupported operand type",
    r"bad operand type",
    r"unhashable type",
    r"object has no attribute",
    r"is not iterable|is not subscriptable|object is not callable",
    r"can only concatenate|must be str, not|must be real number|must be a string",
    r"cannot be interpreted as an integer|indices must be",
    r"could not convert|invalid literal for",
    r"expected str instance|argument must be|argument 1 must be",
    r"is not a mapping|sequence item|requires string as left operand|arg must be",
)
READ_DOCUMENT = ("The tool's document lists its parameters.",)


def _missing(call: ToolCall, match: re.Match[str], world: Readable) -> str:
    names = re.findall(r"'(\w+)'", match["names"])
    return f"`{call.name}` cannot run without {quoted(names)}."


@cache
def _parameters() -> Mapping[str, Mapping[str, Any]]:
    return {tool.name: tool.parameters for toolbox in TOOLBOXES for tool in tool_documents(toolbox)}


def _wrong_types(call: ToolCall) -> list[DocumentFault]:
    """Return the arguments whose type is not the documented one, or a part of each."""
    schema = {**_parameters()[call.name], "required": ()}
    faults = [first_fault(schema, {name: value}) for name, value in call.arguments.items()]
    return [fault for fault in faults if fault is not None and fault.kind is FaultKind.WRONG_TYPE]


def _types(call: ToolCall, match: re.Match[str], world: Readable) -> str:
    if faults := _wrong_types(call):
        wrong = [
            f"'{fault.place}' is {' or '.join(fault.documented)}, and you gave {_type(fault.given)}" for fault in faults
        ]
        # A sentence with types does not name the tool: the words for them may be the right arguments.
        return f"By the tool's document, {'; '.join(wrong)}."
    given = [f"'{name}' as {_type(value)}" for name, value in call.arguments.items()]
    return f"The type of an argument does not fit: you gave {', '.join(given)}."


def _type(value: object) -> str:
    return TYPE_NAMES.get(type(value), "a value")


RULES: tuple[Rule, ...] = (
    Rule(
        name="python.missing_argument",
        tools=(),
        pattern=r"missing \d+ required (positional|keyword-only) arguments?: (?P<names>.*)",
        text=_missing,
        directions=("Look for what is missing in the conversation; another tool may supply it, or else the user.",),
    ),
    Rule(
        name="python.unexpected_argument",
        tools=(),
        pattern=r"got an unexpected keyword argument '(?P<extra>.*?)'",
        text="`{tool}` has no parameter '{extra}'.",
        directions=READ_DOCUMENT,
    ),
    Rule(
        name="python.unknown_tool",
        tools=(),
        pattern=r"^Error during execution: name '.*' is not defined",
        text="'{tool}' is not the name of a tool offered now.",
        directions=("Use those that are documented, or tell the user that none of them fits.",),
    ),
    Rule(
        name="python.folder_in_itself",
        tools=(),
        pattern=r"maximum recursion depth exceeded",
        text="`{tool}` found no end, as something contains itself, such as a folder that was copied into itself.",
    ),
    Rule(
        name="python.wrong_type",
        tools=(),
        pattern="|".join(WRONG_TYPE),
        text=_types,
        directions=("Compare the types in the call with those documented.",),
        when=lambda call, match, world: bool(call.arguments),
    ),
    Rule(
        name="python.unknown_key",
        tools=(),
        pattern=r"^Error during execution: (?P<key>'.*'|\"[^\"]*\"|-?\d+)$",
        text="`{tool}` looked up {key} and found nothing under that name.",
        directions=READ_DOCUMENT,
    ),
)

ALREADY_ACTIONABLE: Mapping[str, str] = {
    r"\(<string>, line \d+\)": "cannot occur: calls are not run as Python source",
    # The limits of envtune/environment/limits/.
    r"has \d+ characters; \d+ (are allowed|can be shown)|characters and \d+ values are allowed": "gives the bound",
    r"is beyond \d+ digits|nested deeper than \d+ levels|more than \d+ bits": "gives the bound",
    r"can be nested \d+ levels|\d+ items and \d+ characters are allowed|too large to write down": "gives the bound",
    r"make this call in your next response": "says what to do",
    r"a directory cannot be put inside itself|is not a number \(NaN\)|half of a surrogate pair": "names the rule",
}
