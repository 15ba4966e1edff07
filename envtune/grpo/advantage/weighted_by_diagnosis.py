"""Group-relative advantages weighted by what went wrong in the episode's turns (SEAL: arXiv 2605.24426)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import fmean

import torch

from envtune.checked import Positive, checked
from envtune.diagnosis import Diagnosis, diagnose
from envtune.errors import UserError
from envtune.grpo.advantage import spread
from envtune.grpo.advantage.group_relative import group_relative_advantages
from envtune.trajectory import Trajectory


@checked
class WeightedByDiagnosis:
    """A' = w A, with w = clip(mean over the episode's turns of rho(label), lowest, highest); the sign never changes.

    Args:
        rho: the weight of each label; 1 for a label that is not given.
        lowest: the least weight of an episode.
        highest: the greatest weight of an episode.

    Raises:
        UserError: a weight is not allowed, a label is unknown, or ``lowest`` is above ``highest``.
    """

    reads_states = False

    def __init__(
        self,
        rho: Mapping[str, float],
        lowest: Positive = 0.5,
        highest: Positive = 2.0,
    ) -> None:
        if lowest > highest:
            raise UserError(f"lowest={lowest} must be at most highest={highest}")
        for label, weight in rho.items():
            if label not in list(map(str, Diagnosis)):
                raise UserError(f"rho has the unknown label {label!r}: use {', '.join(Diagnosis)}")
            if not weight >= 0:
                raise UserError(f"rho.{label}={weight} must be a number of at least 0")
        self._rho = {label: float(rho.get(label, 1.0)) for label in Diagnosis}
        self._lowest, self._highest = lowest, highest

    def __call__(self, trajectories: Sequence[Trajectory], rewards: Sequence[float]) -> list[list[float]]:
        """Return the advantage of each turn: that of its episode."""
        advantages = group_relative_advantages(torch.tensor(rewards)).tolist()
        return spread(trajectories, [self._weight(t) * a for t, a in zip(trajectories, advantages, strict=True)])

    def _weight(self, trajectory: Trajectory) -> float:
        mean = fmean(self._rho[diagnose(turn)] for turn in trajectory.turns)
        return min(self._highest, max(self._lowest, mean))
