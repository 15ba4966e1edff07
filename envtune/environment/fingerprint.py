"""What a state holds, in a form that later changes of the state do not reach."""

from __future__ import annotations

import hashlib
from collections import deque
from collections.abc import Mapping
from datetime import datetime
from types import BuiltinFunctionType, FunctionType, MethodType, ModuleType
from typing import Any

from envtune.environment.limits.size import Size, measure_state
from envtune.environment.python_world import STATE, state_of

MAX_PARTS = 200_000
_PLAIN = (str, bytes, int, float, complex, type(None))
_NAMED = (type, ModuleType, FunctionType, BuiltinFunctionType, MethodType)
# The method of a view that digests the state elsewhere.
DIGEST = "__digest__"


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
    """Return a digest that is equal for states with equal fingerprints, of their own objects alone.

    Of a class with ``state()`` what it returns is digested: its attributes may be the name of a database.
    """
    if hasattr(type(view), DIGEST):
        return str(getattr(view, DIGEST)())
    state = state_of(view) if hasattr(type(view), STATE) else view
    return hashlib.sha256(repr(fingerprint(state, of_classes=False)).encode(errors="surrogatepass")).hexdigest()


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
    attributes = {name: part for name, part in getattr(value, "__dict__", {}).items() if not _is_clock(name, part)}
    inner: list[Any] = [{name: getattr(value, name) for name in slots if hasattr(value, name)}, attributes]
    if not slots and not hasattr(value, "__dict__"):
        inner = _reduced(value)
    if of_classes:
        for base in classes:
            named = vars(base).items()
            inner += [part for name, part in named if name[:2] != "__" and isinstance(part, list | dict | set | deque)]
    return inner


def _is_clock(name: str, value: Any) -> bool:
    """Return True for a private attribute with the time of a change, such as BFCL's files have: no two are equal."""
    return name.startswith("_") and isinstance(value, datetime)


def _reduced(value: Any) -> list[Any]:
    """Return what pickle would store of an object without attributes, such as a date; nothing if it cannot."""
    try:
        reduced = value.__reduce_ex__(2)
    except Exception:  # whatever the object raises
        return []
    return list(reduced) if isinstance(reduced, tuple) else []


def size_of(view: Any) -> Size:
    """Return the size of a state: of the objects in a mapping, or of what is compared of one object."""
    return measure_state(dict(view) if isinstance(view, Mapping) else state_of(view))
