"""Advantages: what the gradient of a turn's sampled tokens is scaled by. One file per estimator.

An estimator sees one group: the trajectories of one task at one policy version, with their rewards.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from envtune.trajectory import Trajectory


class Advantage(Protocol):
    """An estimator of the advantage of each turn in a group of episodes."""

    reads_states: bool
    """Whether it reads ``Turn.state_digest``, which is otherwise not computed."""

    def __call__(self, trajectories: Sequence[Trajectory], rewards: Sequence[float]) -> list[list[float]]:
        """Return the advantage of each turn of each trajectory.

        Args:
            trajectories: two or more, of one task.
            rewards: the reward of each trajectory.
        """
        ...


def spread(trajectories: Sequence[Trajectory], advantages: Sequence[float]) -> list[list[float]]:
    """Return one advantage per trajectory as that of each of its turns."""
    return [[value] * len(trajectory.turns) for trajectory, value in zip(trajectories, advantages, strict=True)]


def compared_by_kind(
    estimate: Advantage, trajectories: Sequence[Trajectory], rewards: Sequence[float]
) -> list[list[float]]:
    """Return the advantages of a group whose episodes with hints, and those without, are compared among themselves.

    Otherwise the advantage of an episode would contain that of having hints.
    """
    advantages: dict[int, list[float]] = {}
    for hints in {trajectory.hints for trajectory in trajectories}:
        members = [number for number, trajectory in enumerate(trajectories) if trajectory.hints is hints]
        of_kind = estimate([trajectories[n] for n in members], [rewards[n] for n in members])
        advantages |= dict(zip(members, of_kind, strict=True))
    return [advantages[number] for number in range(len(trajectories))]
