"""Episodes with actions that are known beforehand."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from envtune.environment.augmentation import Hints
from envtune.environment.episode import Episode
from envtune.environment.interface import Environment
from envtune.task import Task, ToolCall, UserTurn
from envtune.trajectory import Action, FinalAnswer, FormatError, FormatFault, ToolCalls, Trajectory

ANSWER = FinalAnswer("", "Done.")
NOTHING = FormatError(FormatFault.EMPTY, "")
STEP_LIMIT = 9


def play(environment: Environment, task: Task, hints: Hints, actions: Callable[[int], Sequence[Action]]) -> Trajectory:
    """Play a task.

    Args:
        environment: the environment.
        task: the task.
        hints: the hints of the episode.
        actions: returns the actions of a turn by its index. An answer ends the turn; without one the episode is
            truncated.
    """
    written: dict[str, Action] = {}
    episode = Episode(environment, task, written.__getitem__, hints, STEP_LIMIT)
    episode.reset()
    done = False
    for index in range(len(task.turns)):
        for action in actions(index):
            key = str(len(written))
            written[key] = action
            done = episode.step(key).done
        if not isinstance(action, FinalAnswer):
            break
    if not done:
        episode.truncate()
    return episode.finish()


def right_actions(turn: UserTurn, before: Sequence[ToolCall] = ()) -> list[Action]:
    """Return the actions that make a turn's ground-truth calls, after other calls, and answer."""
    return [*(ToolCalls("", tuple(calls)) for calls in (before, turn.ground_truth) if calls), ANSWER]
