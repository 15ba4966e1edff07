"""The verdict on each turn of an episode: the one place where the agent's world and results meet the twin's."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from envtune.environment.checker import HasWorlds, judge_responses, judge_state
from envtune.environment.twin import twin_turns
from envtune.task import Task
from envtune.trajectory import TurnVerdict


class Judge:
    """Judge the turns of one run of a task, each when it ends.

    Args:
        task: the task; its twin runs the ground truth of every turn, whatever the agent does.
        agent: the agent's live worlds. They are compared and never changed.
    """

    def __init__(self, task: Task, agent: HasWorlds) -> None:
        self._task, self._agent, self._twin = task, agent, twin_turns(task)
        self._seen: Counter[str] = Counter()

    def see(self, results: Iterable[str]) -> None:
        """Record the texts of further results that the agent has received."""
        self._seen.update(results)

    def verdict(self, turn: int, called: bool, answered: bool) -> TurnVerdict:
        """Return the verdict on the turn that ends now.

        Args:
            turn: its index in the task, from 0.
            called: the agent made a call in this turn.
            answered: the agent ended the turn with an answer.
        """
        twin = self._twin[turn]
        return TurnVerdict(
            state=judge_state(self._agent, twin),
            response=judge_responses(self._seen, twin.results),
            called=called,
            expects_answer=not self._task.turns[turn].ground_truth,
            answered=answered,
        )
