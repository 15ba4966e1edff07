"""The progress reward of stages 2-4 (paper, section 3.3, arXiv 2510.10197)."""

from __future__ import annotations

from typing_extensions import override

from envtune.errors import UserError
from envtune.reward.breakdown import Reward, RewardBreakdown, RewardPart
from envtune.trajectory import Trajectory, TurnRule


class ProgressReward(Reward):
    """R_P = (1/T) * sum over the task's T turns of state_t * exec_t, in [0, 1].

    A turn that was never reached has not passed.

    Args:
        turn_rule: the rule for a passed turn. By ``method``, a turn without ground truth passes if it was answered
            without a call, and any other if state and response match, even because of an earlier turn. By
            ``official``, as in BFCL's checker, the former is not judged and the latter also needs a call.

    Raises:
        UserError: the rule is unknown.
    """

    def __init__(self, turn_rule: str = "method") -> None:
        self._rule = parse_turn_rule(turn_rule)

    @override
    def __call__(self, trajectory: Trajectory) -> RewardBreakdown:
        return RewardBreakdown((RewardPart("progress", trajectory.progress_under(self._rule)),))


def parse_turn_rule(name: str) -> TurnRule:
    """Return the rule with this name.

    Raises:
        UserError: the name is unknown.
    """
    try:
        return TurnRule(name)
    except ValueError:
        raise UserError(f"turn_rule={name} is unknown: use one of {', '.join(TurnRule)}") from None
