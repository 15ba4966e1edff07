"""The verdict on each turn of an episode: the one place where the agent's world and results meet the twin's.

The rule for results follows bfcl_eval's ``multi_turn_checker``: the results of the turn's ground-truth calls must be a
sub-multiset of all results of the agent so far.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Any

from envtune.environment.interface import Environment, World
from envtune.environment.limits import LimitExceeded
from envtune.environment.twin import twin_turns
from envtune.errors import UserError
from envtune.task import Check, Task, UserTurn
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
            UserError: the turn's check fails, or returns something else than a truth value or a share in [0, 1].
        """
        twin, asked = self._twin[turn], self._task.turns[turn]
        return TurnVerdict(
            state=self._agent.same_as(twin.world),
            response=all(self._seen[text] >= count for text, count in twin.results.items()),
            called=called,
            expects_answer=not asked.ground_truth and asked.check is None,
            answered=answer is not None,
            checked=self._checked(asked, called, answer),
        )

    def _checked(self, turn: UserTurn, called: bool, answer: str | None) -> float | None:
        if turn.check is not None:
            try:
                return share_granted(turn.check, self._agent.view, answer or "", self._task.id)
            except LimitExceeded:  # an isolated world was read: a state that no check can read has not passed
                return 0.0
        if self._judges_answers and not turn.ground_truth:
            return float(answer is not None and not called)
        return None


def share_granted(check: Check, view: Any, answer: str, task: str) -> float:
    """Return the share, in [0, 1], that the check of a turn of a task grants.

    Raises:
        UserError: the check raises an exception, or returns something else than a truth value or a number in [0, 1].
    """
    try:
        granted = check(view, answer)
    except (LimitExceeded, UserError):
        raise
    except Exception as error:
        raise UserError(
            f"the check of a turn of {task} fails ({type(error).__name__}: {error}): correct it, so that it returns a "
            "truth value or a share in [0, 1]"
        ) from error
    if not isinstance(granted, int | float) or not 0 <= granted <= 1:
        raise UserError(
            f"the check of a turn of {task} returned {granted!r}: it must return a truth value or a share in [0, 1]"
        )
    return float(granted)
