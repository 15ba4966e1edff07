"""Annealed hints: the probability of a hint falls as the agent succeeds.

The probability is constant while episodes are played. The caller reports their outcomes afterwards (``observe``) and
saves the state in the run's checkpoints. Not covered: a probability per tool; all rules share one.
"""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Field

from envtune.checked import checked
from envtune.environment.augmentation import Augmentation
from envtune.errors import UserError

if TYPE_CHECKING:
    from envtune.environment.augmentation import Hints
    from envtune.environment.interface import Environment, World
    from envtune.task import Task, ToolDocument
    from envtune.trajectory import Hint, ToolResult, Trajectory


@checked
class Annealed:
    """Give each hint of an augmentation with a probability that falls from 1 to 0.

    The agent's level, in [0, 1], is the mean of ``measure`` over the last ``window`` episodes, or over all if
    fewer were played. The probability falls linearly between the levels ``full_until`` (1) and ``none_from``
    (0); before the first episode it is 1.

    Args:
        hints: the augmentation whose hints are given.
        window: the number of episodes in the mean.
        measure: ``success`` or ``progress``.
        full_until: the level up to which every hint is given, in [0, 1).
        none_from: the level from which no hint is given, in (0, 1].

    Raises:
        UserError: a setting is out of its range, or ``full_until`` is not below ``none_from``.
    """

    def __init__(
        self,
        hints: Augmentation,
        window: Annotated[int, Field(ge=1, description="episodes")],
        measure: Literal["success", "progress"],
        full_until: Annotated[float, Field(ge=0, lt=1)],
        none_from: Annotated[float, Field(gt=0, le=1)],
    ) -> None:
        if full_until >= none_from:
            raise UserError(f"full_until={full_until} must be below none_from={none_from}")
        self._hints, self._measure = hints, measure
        self._full_until, self._none_from = full_until, none_from
        self._recent: deque[float] = deque(maxlen=window)

    @property
    def probability(self) -> float:
        """The probability, in [0, 1], of each hint in episodes that start now."""
        if not self._recent:
            return 1.0
        level = sum(self._recent) / len(self._recent)
        return min(1.0, max(0.0, (self._none_from - level) / (self._none_from - self._full_until)))

    def for_episode(self, environment: Environment, task: Task, seed: int) -> Hints:
        """Return the hints of one episode at the present probability, drawn from ``seed`` alone.

        Cues are drawn once for all documents, from the task's id, so that all episodes of a group have one prompt.
        """
        hints = self._hints.for_episode(environment, task, seed)
        cues = random.Random(f"cues of task {task.id}").random() < self.probability
        return _Drawn(hints, self.probability, random.Random(f"hints of episode {seed}"), cues)

    def measured(self, trajectory: Trajectory) -> float:
        """Return the measure of an episode, in [0, 1]."""
        return float(trajectory.success if self._measure == "success" else trajectory.progress)

    def observe(self, levels: Iterable[float]) -> None:
        """Add the measures of episodes to the window, oldest first."""
        self._recent.extend(levels)

    def state_dict(self) -> dict[str, Any]:
        """Return the window, for a checkpoint."""
        return {"recent": list(self._recent)}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Restore the window from a checkpoint."""
        self._recent.clear()
        self._recent.extend(state_dict["recent"])


@dataclass(frozen=True, slots=True)
class _Drawn:
    """The hints of one episode, each given or dropped by one random draw."""

    hints: Hints
    probability: float
    draws: random.Random
    cues: bool

    def shown(self, tool: ToolDocument) -> ToolDocument:
        return self.hints.shown(tool) if self.cues else tool

    def hint(self, result: ToolResult, world: World) -> Hint | None:
        hint = self.hints.hint(result, world)
        # random() is in [0, 1): a probability of 1 always gives the hint, and 0 never does.
        return hint if hint is not None and self.draws.random() < self.probability else None
