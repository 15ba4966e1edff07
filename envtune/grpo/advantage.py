"""Advantages from rewards (GRPO: DeepSeekMath, arXiv 2402.03300, section 4.1). Functions of tensors, no gradient."""

from __future__ import annotations

from jaxtyping import Bool, Float
from torch import Tensor


def group_relative_advantages(rewards: Float[Tensor, "task group"], eps: float = 1e-6) -> Float[Tensor, "task group"]:
    """Return A = (R - mean) / (std + eps) within each group (Environment Tuning, arXiv 2510.10197, section 3.3).

    ``std`` is the sample standard deviation (divisor G - 1), as in verl, on which the reference code is built. A group
    with equal rewards gets advantages of exactly 0.

    Args:
        rewards: [task, group], one reward per trajectory.
        eps: added to the standard deviation, in units of the reward.

    Raises:
        ValueError: a group has fewer than two trajectories.
    """
    group_size = rewards.shape[1]
    if group_size < 2:
        raise ValueError(
            f"a group of {group_size} trajectory has no group-relative advantage; use a group size of 2 or more"
        )
    # The mean of equal floats can differ from them by rounding, which the division by eps would amplify.
    deviation = (rewards - rewards.mean(dim=1, keepdim=True)).masked_fill(zero_variance(rewards)[:, None], 0.0)
    return deviation / (rewards.std(dim=1, keepdim=True, unbiased=True) + eps)


def zero_variance(rewards: Float[Tensor, "task group"]) -> Bool[Tensor, "task"]:
    """Return True for tasks with equal rewards in the group, which have no policy gradient."""
    return (rewards == rewards[:, :1]).all(dim=1)
