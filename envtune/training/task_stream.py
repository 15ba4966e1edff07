"""Tasks without end, shuffled anew each pass. The position is the stream's whole state.

A task is asked for when it is drawn, so that a million generated ones cost nothing but the numbers of their order.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from envtune.errors import UserError
from envtune.task import Task


@dataclass(frozen=True, slots=True)
class Draw:
    """A task and its place among all draws of all ranks, from which its episodes' seeds are made."""

    task: Task
    position: int


class TaskStream:
    """Rank ``rank`` of ``world_size`` sees every ``world_size``-th element of one shuffled, endless sequence."""

    def __init__(self, tasks: Sequence[Task], seed: int, rank: int = 0, world_size: int = 1) -> None:
        if not tasks:
            raise UserError("there are no tasks to draw from: check data.categories and data.split")
        self._tasks = tasks
        self._seed = seed
        self._rank = rank
        self._world_size = world_size
        self.drawn = 0
        self._order: tuple[int, np.ndarray] | None = None

    def draw(self, count: int) -> tuple[Draw, ...]:
        """The next ``count`` tasks of this rank."""
        positions = [(self.drawn + i) * self._world_size + self._rank for i in range(count)]
        self.drawn += count
        return tuple(Draw(self._tasks[self._index(position)], position) for position in positions)

    def _index(self, position: int) -> int:
        passes, place = divmod(position, len(self._tasks))
        if self._order is None or self._order[0] != passes:
            self._order = passes, np.random.default_rng([self._seed, passes]).permutation(len(self._tasks))
        return int(self._order[1][place])
