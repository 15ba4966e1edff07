"""The sparse reward of the paper's ablation (arXiv 2510.10197)."""

from __future__ import annotations

from typing_extensions import override

from envtune.reward.breakdown import Reward, RewardBreakdown, RewardPart
from envtune.reward.progress import parse_turn_rule
from envtune.trajectory import Trajectory


class BinaryReward(Reward):
    """R = 1 if every turn of the task passed, else 0.

    By the turn rule ``method`` this differs from BFCL's success, which does not judge turns without ground truth.

    Args:
        turn_rule: the rule for a passed turn, ``method`` or ``official`` (see ``ProgressReward``).

    Raises:
        UserError: the rule is unknown.
    """

    def __init__(self, turn_rule: str = "method") -> None:
        self._rule = parse_turn_rule(turn_rule)

    @override
    def __call__(self, trajectory: Trajectory) -> RewardBreakdown:
        return RewardBreakdown((RewardPart("all_turns", float(trajectory.progress_under(self._rule) == 1)),))
