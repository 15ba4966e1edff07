"""Advantages per turn among the members of a group that were in one state (GiGPO: arXiv 2505.10978, section 4)."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

import torch

from envtune.checked import NotNegative, checked
from envtune.grpo.advantage.group_relative import group_relative_advantages
from envtune.grpo.advantage.rewards_to_go import returns_to_go
from envtune.trajectory import UNREADABLE, Trajectory, TurnRule


@checked
class ByState:
    """A = A_episode + state_weight * A_state.

    Members that begin the same turn in equal states of the world differ only in what they do from there on. A_state is
    the group-relative advantage, among them, of the progress from this turn on; 0 for a member alone in its state,
    or in one that could not be read. A_episode is the group-relative advantage of the reward.

    Args:
        state_weight: the weight of the advantage among equal states; 1 in the paper.
    """

    reads_states = True

    def __init__(self, state_weight: NotNegative = 1.0) -> None:
        self._state_weight = state_weight

    def __call__(self, trajectories: Sequence[Trajectory], rewards: Sequence[float]) -> list[list[float]]:
        """Return the advantage of each turn.

        Raises:
            ValueError: a turn has no digest of its state.
        """
        together: dict[tuple[int, str], list[tuple[int, float]]] = defaultdict(list)
        for member, trajectory in enumerate(trajectories):
            for index, to_go in enumerate(returns_to_go(trajectory, TurnRule.METHOD)):
                together[index, _state(trajectory, index)].append((member, to_go))
        outcomes = group_relative_advantages(torch.tensor(rewards)).tolist()
        advantages = [[outcome] * len(t.turns) for t, outcome in zip(trajectories, outcomes, strict=True)]
        for (index, state), members in together.items():
            if len(members) > 1 and state != UNREADABLE:
                among = group_relative_advantages(torch.tensor([to_go for _, to_go in members])).tolist()
                for (member, _), advantage in zip(members, among, strict=True):
                    advantages[member][index] += self._state_weight * advantage
        return advantages


def _state(trajectory: Trajectory, index: int) -> str:
    digest = trajectory.turns[index].state_digest
    if digest is None:
        raise ValueError(f"turn {index} of the trajectory of task {trajectory.task_id} has no digest of its state")
    return digest
