"""What the data module hands to the module: rewarded groups with the tensors of one update; validation episodes."""

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
    """The episodes of one task at one policy version, and the reward of each."""

    trajectories: tuple[Trajectory, ...]
    breakdowns: tuple[RewardBreakdown, ...]

    @property
    def rewards(self) -> tuple[float, ...]:
        return tuple(breakdown.total for breakdown in self.breakdowns)

    @property
    def has_zero_variance(self) -> bool:
        """All rewards are equal, so every advantage is zero."""
        return len(set(self.rewards)) == 1


@dataclass(frozen=True, slots=True)
class RolloutBatch:
    """One update's worth of rollouts.

    ``groups`` are all that were played; ``tensors`` holds those that are trained on. ``refills`` counts the rounds that
    replaced groups without variance, ``rollout_seconds`` the wall time of all rounds, ``environment_seconds`` the part
    of it spent in the environment (tools, checks, hints). ``fed_tokens`` counts the tokens that went through the model
    meanwhile. ``hint_probability`` is that of annealed hints while the rollout was played, None if hints are not
    annealed.
    """

    groups: tuple[RewardedGroup, ...]
    tensors: TrainBatch
    refills: int
    rollout_seconds: float
    environment_seconds: float
    fed_tokens: int
    hint_probability: float | None = None

    def to(self, device: torch.device | str, **_: object) -> RolloutBatch:
        """The same batch with its tensors on ``device`` (Lightning's transfer calls this)."""
        return replace(self, tensors=self.tensors.to(device))


@dataclass(frozen=True, slots=True)
class ValidationBatch:
    """Episodes of validation tasks; there are no tensors to move."""

    trajectories: tuple[Trajectory, ...]

    def to(self, device: torch.device | str, **_: object) -> ValidationBatch:
        return self


def reward_matrix(groups: Sequence[RewardedGroup]) -> Float32[torch.Tensor, "task episode"]:
    """Return the rewards of each group's episodes; all groups are equally large."""
    return torch.tensor([group.rewards for group in groups], dtype=torch.float32)
