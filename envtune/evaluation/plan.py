"""Which episodes an evaluation plays, and playing them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from envtune.checked import Count, Seed, checked
from envtune.errors import UserError
from envtune.rollout.collector import Collector, EpisodeRequest
from envtune.task import Task
from envtune.trajectory import Trajectory


@checked
@dataclass(frozen=True, slots=True)
class Plan:
    """``samples`` episodes of every task, greedy or sampled. All sampling noise comes from ``seed`` and the task's id.

    Raises:
        UserError: for a value that makes no plan.
    """

    greedy: bool
    samples: Count
    seed: Seed

    def __post_init__(self) -> None:
        if self.greedy and self.samples > 1:
            raise UserError(
                f"samples={self.samples} would play the same greedy episodes {self.samples} times: add greedy=false to "
                "sample them"
            )

    def requests(self, tasks: Sequence[Task]) -> list[EpisodeRequest]:
        """The episodes to play; those of one task stand together."""
        return [EpisodeRequest(task, self._seed_of(task, sample)) for task in tasks for sample in range(self.samples)]

    def play(
        self, collector: Collector, requests: Sequence[EpisodeRequest], finished: Callable[[Trajectory], None]
    ) -> list[Trajectory]:
        """Plays the episodes; ``finished`` gets each as soon as it is over. Token records are dropped."""
        played = collector.play(requests, self.greedy, finished=finished)
        return [replace(trajectory, tokens=None) for trajectory in played]

    def _seed_of(self, task: Task, sample: int) -> int:
        sequence = np.random.SeedSequence([self.seed, sample, *task.id.encode()])
        return int(sequence.generate_state(1, np.uint64)[0] >> 1)
