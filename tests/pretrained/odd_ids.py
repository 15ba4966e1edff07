"""A reward that tells episodes apart that keep no protocol."""

from __future__ import annotations

from envtune.reward.breakdown import Reward, RewardBreakdown, RewardPart
from envtune.trajectory import Trajectory


class OddIds(Reward):
    """The share of sampled ids that are odd numbers, which differs between untrained episodes."""

    def __call__(self, trajectory: Trajectory) -> RewardBreakdown:
        ids = [
            id_
            for id_, sampled in zip(trajectory.tokens.ids, trajectory.tokens.completion_mask, strict=True)
            if sampled
        ]
        return RewardBreakdown((RewardPart("odd", sum(id_ % 2 for id_ in ids) / len(ids)),))
