"""Findings from retold stories: a message of the scenario's base task with another ground truth.

Only for the two categories with the worlds of base: in the larger worlds of long_context other values are right. If one
ground truth only has more calls than the other, there is no finding, because they may just read something.
"""

from __future__ import annotations

from collections.abc import Iterator

from envtune.bfcl.audit.finding import Finding, Reason
from envtune.bfcl.audit.turn_findings import empty_turn
from envtune.bfcl.category import Category
from envtune.call_text import render_call
from envtune.task import Task, UserTurn

SAME_WORLD = (Category.MISS_FUNC, Category.MISS_PARAM)


def retold_findings(task: Task, base: Task) -> Iterator[Finding]:
    """Yield the findings on turns of ``task`` whose message is also in ``base``, the scenario's base task."""
    if task.group not in SAME_WORLD:
        return
    told = {turn.message: turn for turn in base.turns}
    for index, turn in enumerate(task.turns):
        retold = told.get(turn.message) if turn.message else None
        if retold is None or _waits_for_tools(task, index):
            continue
        finding = _compare(index, turn, retold, base.id)
        if finding is not None:
            yield finding


def _waits_for_tools(task: Task, index: int) -> bool:
    """Return True for the turn before tools are handed over, whose ground truth is in the next turn."""
    return index + 1 < len(task.turns) and bool(task.turns[index + 1].new_tools)


def _compare(index: int, turn: UserTurn, retold: UserTurn, base: str) -> Finding | None:
    here = [render_call(call) for call in turn.ground_truth]
    there = [render_call(call) for call in retold.ground_truth]
    if not here and not there:
        return empty_turn(index, turn.message)
    if not here:
        text = f"no call is expected for want of a value, but the same message is acted on in {base}"
        return Finding(Reason.GIVEN_VALUE, index, "; ".join(there), text)
    missing, added = [call for call in there if call not in here], [call for call in here if call not in there]
    if added and (missing or not there):
        text = f"the same message in {base} has {'; '.join(missing) or 'no call'} instead"
        return Finding(Reason.TWIN_DISAGREEMENT, index, "; ".join(added), text)
    return None
