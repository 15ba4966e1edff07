"""Remembers what was made of a task. Tasks hold dicts and so have no hash: they are known by identity."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache, wraps
from typing import TypeVar

from envtune.task import Task

T = TypeVar("T")


def cached_by_task(maxsize: int) -> Callable[[Callable[[Task], T]], Callable[[Task], T]]:
    """Decorates a function of a task: its last ``maxsize`` results are kept, each together with its task."""

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
    """A task as a key. It keeps the task alive, so that no other task can take its identity."""

    def __init__(self, task: Task) -> None:
        self.task = task

    def __hash__(self) -> int:
        return id(self.task)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _ByIdentity) and other.task is self.task
