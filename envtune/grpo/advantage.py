"""Rewards to advantages: pure tensors, no gradient. Source: GRPO, DeepSeekMath (arXiv 2402.03300), section 4.1."""

from __future__ import annotations

from jaxtyping import Bool, Float
from torch import Tensor


def group_relative_advantages(rewards: Float[Tensor, "task group"], eps: float = 1e-6) -> Float[Tensor, "task group"]:
    """A = (R - mean) / (std + eps) within each group (Environment Tuning, section 3.3).

    ``std`` is the sample standard deviation (divisor G - 1), as in verl, on which the reference code is built. A group
    whose rewards are all equal gets advantages of exactly zero.

    Raises:
        ValueError: groups of fewer than two trajectories, which have no spread.
    """
    group_size = rewards.shape[1]
    if group_size < 2:
        raise ValueError(
            f"a group of {group_size} trajectory has no group-relative advantage; use a group size of 2 or more"
        )
    # The mean of equal floats can miss them by one rounding, which the division by eps would blow up.
    deviation = (rewards - rewards.mean(dim=1, keepdim=True)).masked_fill(zero_variance(rewards)[:, None], 0.0)
    return deviation / (rewards.std(dim=1, keepdim=True, unbiased=True) + eps)


def zero_variance(rewards: Float[Tensor, "task group"]) -> Bool[Tensor, "task"]:
    """True on tasks whose group got one and the same reward, and so gives no policy gradient."""
    return (rewards == rewards[:, :1]).all(dim=1)
