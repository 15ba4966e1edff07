"""The size of arguments and of states."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple


class Size(NamedTuple):
    """The number of characters of all texts and the number of values, counted along every path."""

    characters: int
    values: int


def measure(roots: Iterable[Any]) -> Size:
    """Return the size of values; an object other than text and containers counts as one value."""
    characters = values = 0
    waiting = list(roots)
    while waiting:
        value = waiting.pop()
        values += 1
        if isinstance(value, str):
            characters += len(value)
        elif isinstance(value, dict):
            waiting.extend(value)
            waiting.extend(value.values())
        elif isinstance(value, list | tuple | set):
            waiting.extend(value)
    return Size(characters, values)
