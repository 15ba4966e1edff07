"""Limits on the arguments of one call, checked before it runs."""

from __future__ import annotations

from typing import Any

from envtune.environment.limits.exceeded import LimitExceeded
from envtune.environment.limits.size import Size
from envtune.task import ToolCall

MAX_ARGUMENT_CHARACTERS = 30_000
MAX_ARGUMENT_ITEMS = 1_000
MAX_ARGUMENT_DEPTH = 20
MAX_INTEGER_BITS = 4_096


def check_arguments(call: ToolCall) -> Size:
    """Return the size of a call's arguments.

    Raises:
        LimitExceeded: they are too long, too deep, too many, not a number, or not encodable.
    """
    characters, items = 0, 1
    nested: list[tuple[Any, int]] = []
    for name, value in call.arguments.items():
        characters += _characters(name) + _characters(value)
        items += 2
        if isinstance(value, dict | list | tuple | set):
            nested.append((value, 1))
    while nested:
        container, depth = nested.pop()
        parts = (part for pair in container.items() for part in pair) if isinstance(container, dict) else container
        for part in parts:
            characters += _characters(part)
            items += 1
            if isinstance(part, dict | list | tuple | set):
                nested.append((part, depth + 1))
        if container and depth >= MAX_ARGUMENT_DEPTH:
            raise LimitExceeded(f"the arguments are nested deeper than {MAX_ARGUMENT_DEPTH} levels")
        _check_totals(characters, items)
    _check_totals(characters, items)
    return Size(characters, items)


def _characters(value: Any) -> int:
    """Return the length of a text, and 0 for any other value.

    Raises:
        LimitExceeded: a text cannot be encoded, an integer is too large, or a number is NaN.
    """
    if isinstance(value, str):
        if not value.isascii():
            _check_encodable(value)
        return len(value)
    if isinstance(value, int):
        _check_integer(value)
    elif isinstance(value, float) and value != value:
        raise LimitExceeded("an argument is not a number (NaN)")
    return 0


def _check_totals(characters: int, items: int) -> None:
    if characters > MAX_ARGUMENT_CHARACTERS or items > MAX_ARGUMENT_ITEMS:
        raise LimitExceeded(
            f"the arguments are too large; {MAX_ARGUMENT_CHARACTERS} characters and {MAX_ARGUMENT_ITEMS} values "
            "are allowed"
        )


def _check_encodable(text: str) -> None:
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        raise LimitExceeded("an argument contains half of a surrogate pair") from None


def _check_integer(value: int) -> None:
    if value.bit_length() > MAX_INTEGER_BITS:
        raise LimitExceeded(f"an integer has more than {MAX_INTEGER_BITS} bits")
