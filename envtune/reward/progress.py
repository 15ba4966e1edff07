"""The progress reward of stages 2-4 (paper, section 3.3, arXiv 2510.10197)."""

from __future__ import annotations

from envtune.reward.breakdown import RewardBreakdown, RewardPart
from envtune.trajectory import Trajectory


class ProgressReward:
    """R_P = (1/T) * sum over the task's T turns of state_t * exec_t, in [0, 1].

    A turn without ground truth passes if it was answered without a call; a turn that was never reached has not passed.
    """

    def __call__(self, trajectory: Trajectory) -> RewardBreakdown:
        return RewardBreakdown((RewardPart("progress", trajectory.progress),))
