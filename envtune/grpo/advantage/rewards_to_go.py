"""Advantages per turn from the verdicts of the turn and of those after it.

A turn is credited with what it and later turns earn, not with what earlier turns have earned. The policy decides how
many turns an episode has, since a limit can end it early. Subtracting a baseline from each turn's own reward and then
summing, as turn-level normalisation does, subtracts the average reward of a further turn from every episode that plays
one, which rewards an early end (https://github.com/verl-project/verl/issues/7244). Here the baseline is subtracted from
the sum, and comes from the other episodes alone. It does not depend on the actions it is compared with, so the expected
gradient is that of the expected progress.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate
from statistics import fmean
from typing import Annotated

import torch
from pydantic import Field

from envtune.checked import Among, checked
from envtune.grpo.advantage.group_relative import EPS, group_relative_advantages
from envtune.trajectory import Trajectory, TurnRule


@checked
class RewardsToGo:
    """A = (1 - outcome_weight) * (G_t - baseline_t) / scale + outcome_weight * A_episode.

    G_t is the sum of the turns' shares of progress from turn t on; baseline_t is the mean of the others' G_t, of those
    that reached turn t, or 0 if none did; scale is the root mean square of the differences in the group. A_episode is
    the group-relative advantage of the reward. Turn-level credit beside an outcome: MT-GRPO (arXiv 2505.11821), GTPO
    (arXiv 2604.02869).

    Args:
        outcome_weight: the share of the episode's own advantage, in [0, 1].
        normalize: divide by ``scale``; without it the expected gradient is exact.
        turn_rule: the rule for a passed turn, ``method`` or ``official``.
    """

    reads_states = False

    def __init__(
        self,
        outcome_weight: Annotated[float, Field(ge=0, le=1)] = 0.5,
        normalize: bool = True,
        turn_rule: Annotated[str, Among(TurnRule)] = "method",
    ) -> None:
        self._outcome_weight, self._normalize, self._rule = outcome_weight, normalize, TurnRule(turn_rule)

    def __call__(self, trajectories: Sequence[Trajectory], rewards: Sequence[float]) -> list[list[float]]:
        """Return the advantage of each turn."""
        differences = differences_from_others([returns_to_go(t, self._rule) for t in trajectories])
        scale = _root_mean_square(differences) + EPS if self._normalize else 1.0
        outcomes = group_relative_advantages(torch.tensor(rewards)).tolist()
        weight = self._outcome_weight
        return [
            [(1 - weight) * difference / scale + weight * outcome for difference in of_turns]
            for of_turns, outcome in zip(differences, outcomes, strict=True)
        ]


def returns_to_go(trajectory: Trajectory, rule: TurnRule) -> list[float]:
    """Return, for each turn, the share of the task's turns that passed from this one on, in [0, 1]."""
    credits = [turn.verdict.credit(rule) / trajectory.turn_count for turn in trajectory.turns]
    return list(accumulate(reversed(credits)))[::-1]


def differences_from_others(returns: Sequence[Sequence[float]]) -> list[list[float]]:
    """Return each value minus the mean of the values at its index in the other rows that have one, or minus 0."""

    def baseline(row: int, index: int) -> float:
        others = [other[index] for number, other in enumerate(returns) if number != row and index < len(other)]
        return fmean(others) if others else 0.0

    return [
        [value - baseline(row, index) for index, value in enumerate(of_turns)] for row, of_turns in enumerate(returns)
    ]


def _root_mean_square(rows: Sequence[Sequence[float]]) -> float:
    squares = [value**2 for row in rows for value in row]
    return fmean(squares) ** 0.5 if squares else 0.0
