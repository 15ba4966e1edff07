"""Calls as text for harnesses that send no tools: ``[Api(k='v'), …]``, both ways. Nothing is evaluated."""

from __future__ import annotations

from collections.abc import Sequence
from keyword import iskeyword

from envtune.data.call_string import parse_calls
from envtune.task import ToolCall


def write_calls(calls: Sequence[ToolCall]) -> str | None:
    """The calls as a list of Python calls with literal arguments; None if a name is no plain name.

    A harness may run what it reads, so a name from the model must not smuggle in code.
    """
    names = [name for call in calls for name in (call.name, *call.arguments)]
    if not all(name.isidentifier() and not iskeyword(name) for name in names):
        return None
    return f"[{', '.join(map(_write_call, calls))}]"


def read_calls(text: str) -> tuple[ToolCall, ...]:
    """The calls that ``text`` spells as ``write_calls`` does; none if it is anything else."""
    text = text.strip()
    if not (text.startswith("[") and text.endswith("]")):
        return ()
    try:
        return parse_calls(text)
    except ValueError:
        return ()


def _write_call(call: ToolCall) -> str:
    return f"{call.name}({', '.join(f'{name}={value!r}' for name, value in call.arguments.items())})"
