"""Deviation of an episode's reward from its group's mean (GRPO: DeepSeekMath, arXiv 2402.03300, section 4.1)."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from envtune.checked import Positive, checked
from envtune.grpo.advantage import spread
from envtune.trajectory import Trajectory

EPS = 1e-6


@checked
class GroupRelative:
    """One advantage per episode, A = (R - mean) / (std + eps): the method's estimator.

    Args:
        eps: added to the standard deviation, in units of the reward.
    """

    reads_states = False

    def __init__(self, eps: Positive = EPS) -> None:
        self._eps = eps

    def __call__(self, trajectories: Sequence[Trajectory], rewards: Sequence[float]) -> list[list[float]]:
        """Return the advantage of each turn: that of its episode."""
        return spread(trajectories, group_relative_advantages(torch.tensor(rewards), self._eps).tolist())


def group_relative_advantages(rewards: Float[Tensor, "group"], eps: float = EPS) -> Float[Tensor, "group"]:
    """Return A = (R - mean) / (std + eps) of a group (Environment Tuning, arXiv 2510.10197, section 3.3).

    ``std`` is the sample standard deviation (divisor G - 1), as in verl, on which the reference code is built. Equal
    rewards have advantages of exactly 0.

    Args:
        rewards: one per trajectory.
        eps: added to the standard deviation, in units of the reward.

    Raises:
        ValueError: the group has fewer than two trajectories.
    """
    if len(rewards) < 2:
        raise ValueError(
            f"a group of {len(rewards)} trajectory has no group-relative advantage; use a group size of 2 or more"
        )
    # The mean of equal floats can differ from them by rounding, which the division by eps would amplify.
    if (rewards == rewards[0]).all():
        return torch.zeros_like(rewards)
    return (rewards - rewards.mean()) / (rewards.std(unbiased=True) + eps)
