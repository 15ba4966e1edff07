"""The sparse reward of the paper's ablation (arXiv 2510.10197)."""

from __future__ import annotations

from envtune.reward.breakdown import RewardBreakdown, RewardPart
from envtune.trajectory import Trajectory


class BinaryReward:
    """1 if every turn of the task passed by the method's rule, else 0.

    The rule is that of the progress reward, not BFCL's: ``Trajectory.success`` does not judge turns without ground
    truth.
    """

    def __call__(self, trajectory: Trajectory) -> RewardBreakdown:
        passed = trajectory.turns_passed == trajectory.turn_count
        return RewardBreakdown((RewardPart("all_turns", float(passed)),))
