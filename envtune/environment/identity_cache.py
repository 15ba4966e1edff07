"""A cache for functions of a task, keyed by identity because tasks hold dicts and cannot be hashed."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache, wraps
from typing import Any, TypeVar

T = TypeVar("T")


def cached_by_identity(maxsize: int) -> Callable[[Callable[..., T]], Callable[..., T]]:
    """Decorate a function of objects so that its ``maxsize`` most recent results are kept, each with its arguments."""

    def decorate(make: Callable[..., T]) -> Callable[..., T]:
        @lru_cache(maxsize)
        def remembered(*keys: _ByIdentity) -> T:
            return make(*(key.value for key in keys))

        @wraps(make)
        def of(*arguments: Any) -> T:
            return remembered(*map(_ByIdentity, arguments))

        return of

    return decorate


class _ByIdentity:
    """An argument as a key. It keeps the object alive, so that its identity cannot be reused."""

    def __init__(self, value: Any) -> None:
        self.value = value

    def __hash__(self) -> int:
        return id(self.value)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _ByIdentity) and other.value is self.value
