"""A call within the limits on results, for the worlds of any environment."""

from __future__ import annotations

from collections.abc import Callable

from envtune.environment.limits import LimitExceeded, ResultBudget
from envtune.task import ToolCall
from envtune.trajectory import ToolResult


def bounded_call(
    call: ToolCall, budget: ResultBudget | None, answer: Callable[[ToolCall], tuple[bool, str]]
) -> ToolResult:
    """Return the result of a call; one beyond a limit has failed with the limit as its text.

    Args:
        call: the call.
        budget: limits the results of all calls of one response together; None for a budget of this call's own.
        answer: runs the call and returns ``ok`` and the text. It may raise LimitExceeded.
    """
    budget = budget or ResultBudget()
    try:
        budget.check_room()
        ok, text = answer(call)
        budget.take(text)
    except LimitExceeded as error:
        ok, text = False, failure_text(error)
    return ToolResult(call, ok, text)


def failure_text(error: BaseException) -> str:
    """Return the text of a call that raised an exception."""
    return f"Error during execution: {error}"
