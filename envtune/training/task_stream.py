"""An endless stream of tasks, reshuffled in each pass. Its position is its whole state.

A task is accessed only when it is drawn, so that a million generated tasks cost only their permutation.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from envtune.errors import UserError
from envtune.task import Task


@dataclass(frozen=True, slots=True)
class Draw:
    """A task, and its position among the draws of all ranks, from which the seeds of its episodes derive."""

    task: Task
    position: int


class TaskStream:
    """Every ``world_size``-th element, from ``rank`` on, of one endless shuffled sequence."""

    def __init__(self, tasks: Sequence[Task], seed: int, rank: int = 0, world_size: int = 1) -> None:
        if not tasks:
            raise UserError("there are no tasks to draw from: check data.categories and data.split")
        self._tasks, self._seed, self._rank, self._world_size = tasks, seed, rank, world_size
        self.drawn = 0
        self._order: tuple[int, np.ndarray] | None = None

    def draw(self, count: int) -> tuple[Draw, ...]:
        """Draw the next ``count`` tasks of this rank."""
        positions = [(self.drawn + i) * self._world_size + self._rank for i in range(count)]
        self.drawn += count
        return tuple(Draw(self._tasks[self._index(position)], position) for position in positions)

    def _index(self, position: int) -> int:
        epoch, index = divmod(position, len(self._tasks))
        if self._order is None or self._order[0] != epoch:
            self._order = epoch, np.random.default_rng([self._seed, epoch]).permutation(len(self._tasks))
        return int(self._order[1][index])
