"""What a state holds, in a form that later changes of the state do not reach."""

from __future__ import annotations

import hashlib
from collections import deque
from collections.abc import Mapping
from types import BuiltinFunctionType, FunctionType, MethodType, ModuleType
from typing import Any

from envtune.environment.limits.size import Size, measure_state
from envtune.environment.python_world import STATE, state_of

MAX_PARTS = 200_000
_PLAIN = (str, bytes, int, float, complex, type(None))
_NAMED = (type, ModuleType, FunctionType, BuiltinFunctionType, MethodType)


def fingerprint(view: Any, of_classes: bool = True) -> list[object]:
    """Return the plain values in a state and how its objects refer to each other.

    What an object of a library keeps outside Python, such as a database, is read if the view has ``state()``.

    Args:
        view: the view of a world.
        of_classes: also read lists, dicts and sets that are attributes of classes, which all objects share.
    """
    parts: list[object] = []
    numbers: dict[int, int] = {}
    kept: list[Any] = []  # so that no identity is used twice
    waiting = [view, state_of(view)] if hasattr(type(view), STATE) else [view]
    while waiting and len(parts) < MAX_PARTS:
        value = waiting.pop()
        if isinstance(value, _PLAIN):
            # NaN is not equal to itself.
            parts.append(repr(value) if isinstance(value, float) else value)
        elif id(value) in numbers:
            parts.append(("again", numbers[id(value)]))
        else:
            numbers[id(value)] = len(numbers)
            kept.append(value)
            parts.append((type(value).__qualname__, getattr(value, "__name__", "")))
            waiting += _inner(value, of_classes)
    return parts


def digest_of(view: Any) -> str:
    """Return a digest that is equal for states with equal fingerprints, of their own objects alone."""
    return hashlib.sha256(repr(fingerprint(view, of_classes=False)).encode(errors="surrogatepass")).hexdigest()


def _inner(value: Any, of_classes: bool) -> list[Any]:
    if isinstance(value, Mapping):
        return [len(value), *(part for pair in value.items() for part in pair)]
    if isinstance(value, list | tuple | deque):
        return [len(value), *value]
    if isinstance(value, set | frozenset):
        return [len(value), *sorted(value, key=repr)]
    if isinstance(value, _NAMED):
        return []
    classes = type(value).__mro__[:-1]
    slots = [name for base in classes for name in getattr(base, "__slots__", ())]
    inner = [{name: getattr(value, name) for name in slots if hasattr(value, name)}, getattr(value, "__dict__", {})]
    if of_classes:
        for base in classes:
            named = vars(base).items()
            inner += [part for name, part in named if name[:2] != "__" and isinstance(part, list | dict | set | deque)]
    return inner


def size_of(view: Any) -> Size:
    """Return the size of a state: of the objects in a mapping, or of what is compared of one object."""
    return measure_state(dict(view) if isinstance(view, Mapping) else state_of(view))
