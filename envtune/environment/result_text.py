"""The text of a Python tool's result, as the agent reads it."""

from __future__ import annotations

import dataclasses
import json
from collections import deque
from collections.abc import Iterator, Mapping
from enum import Enum
from typing import Any

from pydantic import BaseModel
from pydantic_core import to_jsonable_python


def result_text(value: Any) -> str:
    """Return a text unchanged, and any other value as JSON on one line; None is ``null``.

    The same value has the same text in every process: sets are sorted, and no text is made of an object's ``repr``,
    which can hold its address. A value that JSON has only as text, such as a date or a path, is not quoted.

    Raises:
        TypeError: the value has a part that JSON cannot hold; the message names its type.
    """
    try:
        plain = _plain(value)
        text = plain if isinstance(plain, str) else json.dumps(plain, ensure_ascii=False)
        text.encode()  # half a surrogate pair cannot be written anywhere
    except (ValueError, RecursionError) as error:
        raise TypeError(f"a result of type {type(value).__name__} cannot be written as JSON: {error}") from error
    return text


def _plain(value: Any) -> Any:
    """Return a value in JSON's own types."""
    if isinstance(value, Enum):
        return _plain(value.value)
    if isinstance(value, str):
        return str.__str__(value)
    if value is None or isinstance(value, int | float):
        return value
    if isinstance(value, Mapping):
        return {_key(key): _plain(part) for key, part in value.items()}
    if isinstance(value, list | tuple | deque):
        return [_plain(part) for part in value]
    if isinstance(value, set | frozenset):
        return _sorted(map(_plain, value))
    if isinstance(value, BaseModel):
        return _plain(value.model_dump())
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {part.name: _plain(getattr(value, part.name)) for part in dataclasses.fields(value)}
    if isinstance(value, Iterator):
        raise TypeError(f"a result has a part of type {type(value).__name__}, which can be read only once")
    return to_jsonable_python(value)


def _key(key: Any) -> str:
    plain = _plain(key)
    return plain if isinstance(plain, str) else json.dumps(plain, ensure_ascii=False)


def _sorted(parts: Iterator[Any]) -> list[Any]:
    """Sort by value where all parts can be compared, else by their JSON text, and never by their order in the set."""
    by_text = sorted(parts, key=json.dumps)
    try:
        return sorted(by_text)
    except TypeError:
        return by_text
