"""Deviation of an episode's reward from the mean of the others (RLOO: arXiv 2402.14740, section 3.3)."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import fmean

from envtune.grpo.advantage import spread
from envtune.trajectory import Trajectory


class LeaveOneOut:
    """One advantage per episode, A = R - mean of the other rewards: an unbiased baseline, without normalisation."""

    reads_states = False

    def __call__(self, trajectories: Sequence[Trajectory], rewards: Sequence[float]) -> list[list[float]]:
        """Return the advantage of each turn: that of its episode."""
        others = len(rewards) / (len(rewards) - 1)
        mean = rewards[0] if len(set(rewards)) == 1 else fmean(rewards)
        return spread(trajectories, [others * (reward - mean) for reward in rewards])
