"""The size of arguments and of states."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from types import NoneType
from typing import Any, NamedTuple

# Named, because a union or tuple of types is otherwise built anew for every value of a state.
_TEXTS = (str, bytes)
_SINGLE = (int, float, type, NoneType)
_SEQUENCES = (list, tuple, set, frozenset, deque)


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


def measure_state(state: Any, into_objects: bool = True) -> Size:
    """Return the size of any state; what is reached on several paths counts once.

    Args:
        state: the state.
        into_objects: whether the attributes of objects count, or an object as one value.
    """
    characters = values = 0
    waiting, seen = [state], set()
    while waiting:
        value = waiting.pop()
        values += 1
        if isinstance(value, _TEXTS):
            characters += len(value)
        elif not isinstance(value, _SINGLE) and id(value) not in seen:
            seen.add(id(value))
            if isinstance(value, dict):
                waiting.extend(value)
                waiting.extend(value.values())
            elif isinstance(value, _SEQUENCES):
                waiting.extend(value)
            elif into_objects:
                waiting.extend(getattr(value, "__dict__", {}).values())
    return Size(characters, values)
