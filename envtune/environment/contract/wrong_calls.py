"""The ways in which an agent gets a call wrong: careless ones, and hostile ones in order of their size."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import pairwise
from typing import Any

from envtune.environment.limits.arguments import MAX_ARGUMENT_CHARACTERS, MAX_ARGUMENT_ITEMS
from envtune.task import ToolCall, ToolDocument, leaves

STRANGE_NAMES = ("", "__init__", "__class__", "eval", "open", "view", "copy", "\u0000", "x" * 1_000)


def _nested(depth: int) -> Any:
    value: Any = "x"
    for _ in range(depth):
        value = [value]
    return value


HOSTILE_VALUES: tuple[Any, ...] = (
    *(None, True, 0, -1, "", [], {}, "0", 0.5, -0.0, [None], {"": None}, "\u0000", "..", "%s%n", "e\u0301"),
    *("\U0001f600", "\ud800", 2**64, -(10**299), 1e308, float("inf"), float("nan"), "../../../etc/passwd"),
    *("{0.__class__.__mro__}", "__import__('os')", _nested(19), _nested(21), 10**400, "9" * 400, "\u0130" * 300),
    *([0] * 900, {str(number): number for number in range(400)}, "x" * 29_000, "a\n" * 14_000),
    *([""] * (MAX_ARGUMENT_ITEMS + 1), "x" * (MAX_ARGUMENT_CHARACTERS + 1), _nested(5_000), 10**4_000),
)


def wrong_calls(call: ToolCall, others: Sequence[ToolCall]) -> Iterator[ToolCall]:
    """Yield careless forms of a call: an argument that is missing, wrong, of another type or of another call.

    Also two arguments exchanged, one too many, and a wrong name of the tool.
    """
    for name, value in call.arguments.items():
        yield replace(call, arguments={k: v for k, v in call.arguments.items() if k != name})
        for wrong in (*_wrong_values(value), *_foreign_values(call, value, others)):
            yield replace(call, arguments={**call.arguments, name: wrong})
    for one, other in pairwise(call.arguments):
        swapped = {one: call.arguments[other], other: call.arguments[one]}
        yield replace(call, arguments={**call.arguments, **swapped})
    yield replace(call, arguments={**call.arguments, "colour": "red"})
    yield replace(call, name=f"{call.name}_now")


def _wrong_values(value: object) -> tuple[object, ...]:
    if isinstance(value, str):
        return ("nowhere", "", value.swapcase(), f"folder/{value}", 7, ["x"], [value])
    return (-1, 10**6, [] if isinstance(value, list) else 0, str(value), "nowhere", None)


def _foreign_values(call: ToolCall, value: object, others: Sequence[ToolCall]) -> list[str]:
    """Return two texts of other calls, such as a city where a code is due."""
    if not isinstance(value, str):
        return []
    texts = [v for other in others if other.name != call.name for v in other.arguments.values() if isinstance(v, str)]
    return [text for text in dict.fromkeys(texts) if text != value][:2]


def hostile_calls(tool: ToolDocument, known: Mapping[str, Any], value: Any) -> Iterator[ToolCall]:
    """Yield calls of a tool with a hostile value: as an unknown argument, as each argument, as all of them.

    Args:
        tool: the document of the tool.
        known: right arguments of some call of it, empty if there are none.
        value: the hostile value.
    """
    names = [*parameters_of_tool(tool)]
    yield ToolCall(tool.name, {**known, "colour": value})
    for name in names:
        yield ToolCall(tool.name, {**known, name: value})
    if len(names) > 1:
        yield ToolCall(tool.name, dict.fromkeys(names, value))


def enlarged(call: ToolCall) -> ToolCall:
    """Return the call with its texts and lists as long as the limit on arguments allows."""
    texts = max(1, sum(isinstance(value, str) for value in leaves(call.arguments)))
    return replace(
        call,
        arguments={
            name: (value or "x") * (MAX_ARGUMENT_CHARACTERS // (2 * texts * max(1, len(value))))
            if isinstance(value, str)
            else value * (MAX_ARGUMENT_ITEMS // (2 * max(1, len(value))))
            if isinstance(value, list)
            else value
            for name, value in call.arguments.items()
        },
    )


def parameters_of_tool(tool: ToolDocument) -> Mapping[str, Any]:
    """Return the schema of each argument by name."""
    return tool.parameters.get("properties", {})
