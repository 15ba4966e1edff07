"""A cache for functions of a task, keyed by identity because tasks hold dicts and cannot be hashed."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache, wraps
from typing import TypeVar

from envtune.task import Task

T = TypeVar("T")


def cached_by_task(maxsize: int) -> Callable[[Callable[[Task], T]], Callable[[Task], T]]:
    """Decorate a function of a task so that its ``maxsize`` most recent results are kept, each with its task."""

    def decorate(make: Callable[[Task], T]) -> Callable[[Task], T]:
        @lru_cache(maxsize)
        def remembered(key: _ByIdentity) -> T:
            return make(key.task)

        @wraps(make)
        def of(task: Task) -> T:
            return remembered(_ByIdentity(task))

        return of

    return decorate


class _ByIdentity:
    """A task as a key. It keeps the task alive, so that its identity cannot be reused."""

    def __init__(self, task: Task) -> None:
        self.task = task

    def __hash__(self) -> int:
        return id(self.task)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _ByIdentity) and other.task is self.task
