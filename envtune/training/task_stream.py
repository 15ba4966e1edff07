"""Endless streams of training tasks, and the uniform one, which is reshuffled in each pass.

A task is accessed only when it is drawn, so that a million generated tasks cost only their permutation.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from envtune.errors import UserError
from envtune.task import Task


@dataclass(frozen=True, slots=True)
class Draw:
    """A task, and its position among the draws of all ranks, from which the seeds of its episodes derive."""

    task: Task
    position: int
    index: int
    """The task's place in its source."""


class Stream(Protocol):
    """One rank's share of an endless sequence of tasks."""

    drawn: int
    """The number of tasks that this rank has drawn."""

    def draw(self, count: int) -> tuple[Draw, ...]:
        """Draw the next ``count`` tasks of this rank."""
        ...

    def observe(self, variances: Sequence[tuple[int, float]]) -> Mapping[str, Sequence[float]]:
        """Record how much the rewards of this rank's groups varied, at the end of a rollout. A collective.

        Args:
            variances: the index of the task and the population variance of the rewards, for each group in its order.

        Returns:
            The samples of this rank's draws that are logged, by name; their means are over all ranks.
        """
        ...

    def state_dict(self) -> dict[str, Any]:
        """Return the state beside ``drawn``, for a checkpoint; equal on all ranks between two rollouts."""
        ...

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Restore the state; an empty one is that of a new stream."""
        ...


class StreamFactory(Protocol):
    """Makes the stream of one rank."""

    def __call__(self, tasks: Sequence[Task], seed: int, rank: int, world_size: int) -> Stream:
        """Return the stream of ``rank``, from its beginning."""
        ...


class TaskStream:
    """Every ``world_size``-th element, from ``rank`` on, of one endless shuffled sequence.

    The sequence is a new permutation of all tasks in each pass. ``drawn`` is the whole state.
    """

    def __init__(self, tasks: Sequence[Task], seed: int, rank: int = 0, world_size: int = 1) -> None:
        self._tasks, self._seed, self._rank, self._world_size = require_tasks(tasks), seed, rank, world_size
        self.drawn = 0
        self._order: tuple[int, np.ndarray] | None = None

    def draw(self, count: int) -> tuple[Draw, ...]:
        """Draw the next ``count`` tasks of this rank."""
        positions = [(self.drawn + i) * self._world_size + self._rank for i in range(count)]
        self.drawn += count
        indices = map(self._index, positions)
        return tuple(Draw(self._tasks[i], position, i) for position, i in zip(positions, indices, strict=True))

    def observe(self, variances: Sequence[tuple[int, float]]) -> Mapping[str, Sequence[float]]:
        """Return no samples: the order does not depend on rewards."""
        return {}

    def state_dict(self) -> dict[str, Any]:
        """Return an empty state."""
        return {}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Ignore the state, which may be that of another sampler."""

    def _index(self, position: int) -> int:
        number, index = divmod(position, len(self._tasks))
        if self._order is None or self._order[0] != number:
            self._order = number, shuffled(len(self._tasks), self._seed, number)
        return int(self._order[1][index])


def shuffled(count: int, seed: int, number: int) -> np.ndarray:
    """Return the order of the indices below ``count`` in pass ``number``, from 0."""
    return np.random.default_rng([seed, number]).permutation(count)


def require_tasks(tasks: Sequence[Task]) -> Sequence[Task]:
    """Return ``tasks``; raise UserError if there are none."""
    if not tasks:
        raise UserError("there are no tasks to draw from: check data.categories and data.split")
    return tasks
