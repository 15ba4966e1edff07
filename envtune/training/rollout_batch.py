"""The batches that the data module passes to the module: rewarded groups with tensors, and validation episodes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from statistics import fmean, pvariance

import torch

from envtune.grpo.batch import TrainBatch
from envtune.reward.breakdown import RewardBreakdown
from envtune.training.hindsight import TaughtCalls
from envtune.trajectory import Trajectory


@dataclass(frozen=True, slots=True)
class RewardedGroup:
    """The trajectories of one task at one policy version, with their rewards."""

    trajectories: tuple[Trajectory, ...]
    breakdowns: tuple[RewardBreakdown, ...]
    advantages: tuple[tuple[float, ...], ...]
    """Of each turn of each trajectory."""

    @property
    def rewards(self) -> tuple[float, ...]:
        """The reward of each trajectory."""
        return tuple(breakdown.total for breakdown in self.breakdowns)

    @property
    def has_zero_variance(self) -> bool:
        """Whether all rewards are equal."""
        return len(set(self.rewards)) == 1

    @property
    def teaches(self) -> bool:
        """Whether any advantage differs from zero."""
        return any(advantage for turns in self.advantages for advantage in turns)

    @property
    def variance(self) -> float:
        """The population variance of the rewards, exactly 0 if all are equal.

        With mixed hints, the mean of the variances of the two kinds, which are not compared with each other.
        """
        rewards = list(zip(self.trajectories, self.rewards, strict=True))
        kinds = ([reward for played, reward in rewards if played.hints is hints] for hints in (True, False))
        return fmean(pvariance(kind) for kind in kinds if kind)


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
    taught: TaughtCalls | None = None
    """Failed calls after their hints, for hindsight distillation; None without it, or without such calls."""
    sampler: Mapping[str, Sequence[float]] = field(default_factory=dict)
    """What the sampler logs of this rank's draws: samples by name."""

    def to(self, device: torch.device | str, **_: object) -> RolloutBatch:
        """Return the batch with its tensors on ``device``; Lightning's transfer calls this."""
        return replace(self, tensors=self.tensors.to(device), taught=self.taught and self.taught.to(device))


@dataclass(frozen=True, slots=True)
class ValidationBatch:
    """The trajectories of validation or test tasks, with the rewards of the stage."""

    trajectories: tuple[Trajectory, ...]
    breakdowns: tuple[RewardBreakdown, ...]

    def to(self, device: torch.device | str, **_: object) -> ValidationBatch:
        """Return the batch unchanged: it holds no tensors."""
        return self


def train_batch(groups: Sequence[RewardedGroup], temperature: float) -> TrainBatch:
    """Return the tensors of groups that were sampled at ``temperature``."""
    trajectories = [trajectory for group in groups for trajectory in group.trajectories]
    return TrainBatch.from_trajectories(trajectories, [a for group in groups for a in group.advantages], temperature)
