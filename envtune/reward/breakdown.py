"""What a reward says about one trajectory: named, weighted parts and their sum."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from envtune.trajectory import Trajectory


@dataclass(frozen=True, slots=True)
class RewardPart:
    """One reason for a reward. It contributes ``weight * value``; the same names recur for every trajectory."""

    name: str
    value: float
    weight: float = 1.0

    @property
    def contribution(self) -> float:
        return self.weight * self.value


@dataclass(frozen=True, slots=True)
class RewardBreakdown:
    """One trajectory's reward with its reasons."""

    parts: tuple[RewardPart, ...]

    @property
    def total(self) -> float:
        return sum(part.contribution for part in self.parts)


class Reward(Protocol):
    """Judges one finished episode by its record alone."""

    def __call__(self, trajectory: Trajectory) -> RewardBreakdown: ...
