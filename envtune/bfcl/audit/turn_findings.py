"""Findings on whole turns and on the tools they offer."""

from __future__ import annotations

from collections.abc import Iterator

from envtune.bfcl.audit.finding import Finding, Reason
from envtune.bfcl.audit.ground_truth_replay import ground_truth, passes, passes_without
from envtune.bfcl.category import Category
from envtune.bfcl.toolbox import Toolbox
from envtune.call_text import render_call
from envtune.task import Task

NOTHING_MISSING = (Category.BASE, Category.LONG_CONTEXT)


def turn_findings(task: Task) -> Iterator[Finding]:
    """Yield the findings on the turns of a task."""
    yield from _withheld_tools(task)
    yield from _unneeded_tools(task)
    yield from _failing_calls(task)
    yield from _empty_turns(task)


def _withheld_tools(task: Task) -> Iterator[Finding]:
    """Yield calls of tools that are not offered yet, if the ground truth fails without them."""
    if passes(task, ground_truth(task), as_offered=True):
        return
    for index, turn in enumerate(task.turns):
        offered = {tool.name for tool in task.tools_offered_at(index)}
        for call in turn.ground_truth:
            if call.name not in offered:
                text = f"the result of {call.name} is expected in a turn that does not offer it yet"
                yield Finding(Reason.WITHHELD_TOOL, index, render_call(call), text)


def _unneeded_tools(task: Task) -> Iterator[Finding]:
    """Yield turns that hand over tools without needing them, so that the turn before could be acted on."""
    for index, turn in enumerate(task.turns):
        called = {call.name for call in turn.ground_truth}
        if turn.new_tools and called and not called.intersection(turn.new_tools):
            text = (
                "the turn before expects no call for want of these tools, but its ground truth, given here, calls none"
            )
            yield Finding(Reason.UNNEEDED_TOOL, index, ", ".join(turn.new_tools), text)


def _failing_calls(task: Task) -> Iterator[Finding]:
    """Yield failing calls whose failure is expected among the agent's results."""
    toolbox = Toolbox(task)
    for index, turn in enumerate(task.turns):
        for position, call in enumerate(turn.ground_truth):
            result = toolbox.call(call)
            if not result.ok and not passes_without(task, index, position):
                text = f"this call fails ({result.text}), and its failure is expected among the agent's results"
                yield Finding(Reason.FAILING_GROUND_TRUTH, index, render_call(call), text)


def _empty_turns(task: Task) -> Iterator[Finding]:
    """Yield turns without ground truth although nothing is withheld."""
    if task.group in NOTHING_MISSING:
        for index, turn in enumerate(task.turns):
            if not turn.ground_truth:
                yield empty_turn(index, turn.message)


def empty_turn(index: int, message: str) -> Finding:
    """Return the finding on a turn without ground truth."""
    text = "the turn has no ground truth although nothing is withheld: an agent that looks into the request fails it"
    return Finding(Reason.EMPTY_TURN, index, message, text)
