"""The episodes of an evaluation."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from envtune.checked import Count, Seed, checked
from envtune.derived_seed import derived_seed
from envtune.errors import UserError
from envtune.rollout.collector import Collector, EpisodeRequest
from envtune.task import Task
from envtune.trajectory import Trajectory


@checked
@dataclass(frozen=True, slots=True)
class Plan:
    """``samples`` episodes of every task, greedy or sampled; sampling depends on ``seed`` and the task's id alone.

    Raises:
        UserError: a value is not allowed, or several greedy episodes of a task would be equal.
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
        """Return the requests of all episodes, those of one task in succession."""
        return [
            EpisodeRequest(task, derived_seed(self.seed, sample, *task.id.encode()))
            for task in tasks
            for sample in range(self.samples)
        ]

    def play(
        self, collector: Collector, requests: Sequence[EpisodeRequest], finished: Callable[[Trajectory], None]
    ) -> list[Trajectory]:
        """Play the episodes and return their trajectories without tokens; ``finished`` receives each at its end."""
        played = collector.play(requests, self.greedy, finished=finished)
        return [replace(trajectory, tokens=None) for trajectory in played]
