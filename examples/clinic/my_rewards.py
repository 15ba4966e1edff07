"""A reward of the clinic's own: a class that returns named, weighted parts."""

from __future__ import annotations

from envtune.reward import RewardBreakdown, RewardPart
from envtune.trajectory import Trajectory


class CarefulProgress:
    """Progress, minus a cost for each booking or cancellation that fails.

    Args:
        cost: per failed call.
    """

    def __init__(self, cost: float = 0.05) -> None:
        self.cost = cost

    def __call__(self, trajectory: Trajectory) -> RewardBreakdown:
        """Return the reward of an episode. Each part is logged as ``reward/NAME``."""
        failed = sum(not result.ok and result.call.name in ("book", "cancel") for result in trajectory.results)
        return RewardBreakdown(
            (RewardPart("progress", trajectory.progress), RewardPart("failed_writes", failed, weight=-self.cost))
        )
