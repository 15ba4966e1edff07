"""Hand-made trajectories for the tests of rewards."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from envtune.bfcl.category import Category
from envtune.task import ToolCall
from envtune.trajectory import (
    Action,
    EpisodeEnd,
    FinalAnswer,
    FormatError,
    FormatFault,
    Step,
    ToolCalls,
    ToolResult,
    Trajectory,
    Turn,
    TurnEnd,
    TurnVerdict,
)


def call(name: str, **arguments: Any) -> ToolCall:
    return ToolCall(name, arguments)


def calls(*made: ToolCall, failed: Sequence[ToolCall] = ()) -> Step:
    """A step that makes these calls and then the failing ones."""
    results = [ToolResult(one, True, "fine") for one in made] + [ToolResult(one, False, "wrong") for one in failed]
    return _step(ToolCalls("", (*made, *failed)), tuple(results))


def answer() -> Step:
    return _step(FinalAnswer("", "Done."))


def slip() -> Step:
    return _step(FormatError(FormatFault.NO_THINK, "No thought."))


def turn(*steps: Step, ground_truth: Sequence[ToolCall] = (), right: bool = True) -> Turn:
    """A turn whose world and results are all ``right`` or all wrong."""
    called = any(step.results for step in steps)
    answered = isinstance(steps[-1].action, FinalAnswer)
    end = TurnEnd.ANSWERED if answered else TurnEnd.STEP_LIMIT
    return Turn("", tuple(ground_truth), steps, end, TurnVerdict(right, right, called, not ground_truth, answered))


def episode(*turns: Turn, turn_count: int | None = None) -> Trajectory:
    count = len(turns) if turn_count is None else turn_count
    end = EpisodeEnd.TERMINATED if count == len(turns) else EpisodeEnd.STEP_LIMIT
    return Trajectory("multi_turn_base_0", Category.BASE, count, turns, end)


def _step(action: Action, results: tuple[ToolResult, ...] = ()) -> Step:
    return Step("", action, results, "")
