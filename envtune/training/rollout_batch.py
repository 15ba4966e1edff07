"""The batches that the data module passes to the module: rewarded groups with tensors, and validation episodes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from jaxtyping import Float32

from envtune.grpo.batch import TrainBatch
from envtune.reward.breakdown import RewardBreakdown
from envtune.trajectory import Trajectory


@dataclass(frozen=True, slots=True)
class RewardedGroup:
    """The trajectories of one task at one policy version, with their rewards."""

    trajectories: tuple[Trajectory, ...]
    breakdowns: tuple[RewardBreakdown, ...]

    @property
    def rewards(self) -> tuple[float, ...]:
        """The reward of each trajectory."""
        return tuple(breakdown.total for breakdown in self.breakdowns)

    @property
    def has_zero_variance(self) -> bool:
        """Whether all rewards are equal, so that every advantage is zero."""
        return len(set(self.rewards)) == 1


@dataclass(frozen=True, slots=True)
class RolloutBatch:
    """The rollouts of one update."""

    groups: tuple[RewardedGroup, ...]
    """All groups that were played."""
    tensors: TrainBatch
    """The groups that are trained on."""
    refills: int
    """Rounds that replaced groups without variance."""
    rollout_seconds: float
    """Wall time of all rounds."""
    environment_seconds: float
    """The part of it in tools, checks and hints."""
    fed_tokens: int
    """Tokens that the model has processed meanwhile."""
    hint_probability: float | None = None
    """Probability of annealed hints in this rollout; None if hints are not annealed."""

    def to(self, device: torch.device | str, **_: object) -> RolloutBatch:
        """Return the batch with its tensors on ``device``; Lightning's transfer calls this."""
        return replace(self, tensors=self.tensors.to(device))


@dataclass(frozen=True, slots=True)
class ValidationBatch:
    """The trajectories of validation or test tasks."""

    trajectories: tuple[Trajectory, ...]

    def to(self, device: torch.device | str, **_: object) -> ValidationBatch:
        """Return the batch unchanged: it holds no tensors."""
        return self


def reward_matrix(groups: Sequence[RewardedGroup]) -> Float32[torch.Tensor, "task episode"]:
    """Return the rewards of each group; all groups have the same size."""
    return torch.tensor([group.rewards for group in groups], dtype=torch.float32)
