"""Hints that are withdrawn while the agent learns: the more it succeeds, the fewer of them it gets.

The probability of a hint is fixed while episodes are played. Whoever has them played says afterwards how they went
(``observe``) and keeps the state with a run's checkpoints. Not covered: which tools the agent still needs hints for;
all rules are withdrawn alike.
"""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Field

from envtune.checked import checked
from envtune.errors import UserError

if TYPE_CHECKING:
    from envtune.environment.augmentation import Augmentation, Hints
    from envtune.environment.toolbox import Toolbox
    from envtune.trajectory import Hint, ToolResult, Trajectory


@checked
class Annealed:
    """Gives each of the hints of ``hints`` with a probability that falls from 1 to 0.

    The agent's level is the mean ``measure`` (``success`` or ``progress``, both in 0 to 1) of the last ``window``
    episodes, or of all there were if they are fewer. Up to the level ``full_until`` every hint is given, from
    ``none_from`` on none; in between the probability falls in a straight line. Before any episode every hint is given.

    Raises:
        UserError: for a setting that is not of this kind.
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
        """With which a hint is given in the episodes that are started now."""
        if not self._recent:
            return 1.0
        level = sum(self._recent) / len(self._recent)
        return min(1.0, max(0.0, (self._none_from - level) / (self._none_from - self._full_until)))

    def for_episode(self, seed: int) -> Hints:
        """The hints of one episode at the present probability. Which of them are given is drawn from ``seed`` alone."""
        return _Drawn(self._hints.for_episode(seed), self.probability, random.Random(f"hints of episode {seed}"))

    def measured(self, trajectory: Trajectory) -> float:
        """How well an episode went, in 0 to 1."""
        return float(trajectory.success if self._measure == "success" else trajectory.progress)

    def observe(self, levels: Iterable[float]) -> None:
        """Takes note of how well episodes went (``measured``), in the order in which they leave the window again."""
        self._recent.extend(levels)

    def state_dict(self) -> dict[str, Any]:
        return {"recent": list(self._recent)}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self._recent.clear()
        self._recent.extend(state_dict["recent"])


@dataclass(frozen=True, slots=True)
class _Drawn:
    """``hints``, each given or not by one draw of ``draws``."""

    hints: Hints
    probability: float
    draws: random.Random

    def hint(self, result: ToolResult, toolbox: Toolbox) -> Hint | None:
        hint = self.hints.hint(result, toolbox)
        # random() is below 1 and may be 0: a probability of 1 always gives, one of 0 never does.
        return hint if hint is not None and self.draws.random() < self.probability else None
