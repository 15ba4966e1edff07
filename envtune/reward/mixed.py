"""A weighted sum of progress and format: the reward of the paper's direct-GRPO baseline (arXiv 2510.10197)."""

from __future__ import annotations

from typing_extensions import override

from envtune.errors import UserError
from envtune.reward.breakdown import Reward, RewardBreakdown, RewardPart
from envtune.reward.format import format_score
from envtune.reward.progress import parse_turn_rule
from envtune.trajectory import Trajectory


class MixedReward(Reward):
    """R = progress * R_P + format * R_format.

    Args:
        progress: the weight of the share of passed turns.
        format: the weight of the share of responses in the protocol.
        turn_rule: the rule for a passed turn, ``method`` or ``official`` (see ``ProgressReward``).

    Raises:
        UserError: a weight is negative, both are 0, or the rule is unknown.
    """

    def __init__(self, progress: float = 0.9, format: float = 0.1, turn_rule: str = "method") -> None:
        if progress < 0 or format < 0 or progress + format == 0:
            raise UserError(
                f"the weights progress={progress} and format={format} of the mixed reward must not be negative, "
                "nor both 0: give for example 0.9 and 0.1"
            )
        self._progress, self._format = progress, format
        self._rule = parse_turn_rule(turn_rule)

    @override
    def __call__(self, trajectory: Trajectory) -> RewardBreakdown:
        return RewardBreakdown(
            (
                RewardPart("progress", trajectory.progress_under(self._rule), self._progress),
                RewardPart("format", format_score(trajectory), self._format),
            )
        )
