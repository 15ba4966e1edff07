"""The verdict on each turn of an episode: the one place where the agent's world and results meet the twin's.

The rule for results follows bfcl_eval's ``multi_turn_checker``: the results of the turn's ground-truth calls must be a
sub-multiset of all results of the agent so far.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from envtune.environment.interface import Environment, World
from envtune.environment.limits import LimitExceeded
from envtune.environment.twin import twin_turns
from envtune.task import Task, UserTurn
from envtune.trajectory import TurnVerdict


class Judge:
    """Judge the turns of one run of a task, each when it ends.

    Args:
        environment: the environment of the task.
        task: the task; its twin runs the ground truth of every turn, whatever the agent does.
        agent: the agent's world. It is compared and never changed.
    """

    def __init__(self, environment: Environment, task: Task, agent: World) -> None:
        self._task, self._agent, self._twin = task, agent, twin_turns(environment, task)
        self._judges_answers = environment.judges_answers
        self._seen: Counter[str] = Counter()

    def see(self, results: Iterable[str]) -> None:
        """Record the texts of further results that the agent has received."""
        self._seen.update(results)

    def verdict(self, turn: int, called: bool, answer: str | None) -> TurnVerdict:
        """Return the verdict on the turn that ends now.

        Args:
            turn: its index in the task, from 0.
            called: the agent made a call in this turn.
            answer: the text that ended the turn; None if a limit ended it.

        Raises:
            ValueError: the turn's check returned something else than a truth value or a number in [0, 1].
        """
        twin = self._twin[turn]
        return TurnVerdict(
            state=self._agent.same_as(twin.world),
            response=all(self._seen[text] >= count for text, count in twin.results.items()),
            called=called,
            expects_answer=not self._task.turns[turn].ground_truth,
            answered=answer is not None,
            checked=self._checked(self._task.turns[turn], called, answer),
        )

    def _checked(self, turn: UserTurn, called: bool, answer: str | None) -> float | None:
        if turn.check is not None:
            try:
                share = float(turn.check(self._agent.view, answer or ""))
            except LimitExceeded:  # an isolated world was read: a state that no check can read has not passed
                return 0.0
            if not 0 <= share <= 1:
                raise ValueError(f"the check of a turn of {self._task.id} returned {share}: it must be in [0, 1]")
            return share
        if self._judges_answers and not turn.ground_truth:
            return float(answer is not None and not called)
        return None
