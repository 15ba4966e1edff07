"""The sparse reward of the paper's ablation (arXiv 2510.10197)."""

from __future__ import annotations

from envtune.reward.breakdown import RewardBreakdown, RewardPart
from envtune.reward.progress import parse_turn_rule
from envtune.trajectory import Trajectory


class BinaryReward:
    """1 if every turn of the task passed, else 0.

    By the ``method``'s ``turn_rule`` that is a progress of 1, and not BFCL's success, which judges no turn without
    ground truth (see ``ProgressReward``).

    Raises:
        UserError: for any other rule than ``method`` and ``official``.
    """

    def __init__(self, turn_rule: str = "method") -> None:
        self._rule = parse_turn_rule(turn_rule)

    def __call__(self, trajectory: Trajectory) -> RewardBreakdown:
        return RewardBreakdown((RewardPart("all_turns", float(trajectory.progress_under(self._rule) == 1)),))
