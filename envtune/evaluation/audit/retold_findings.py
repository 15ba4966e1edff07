"""Findings from telling a story twice: the same message, and another ground truth than in the scenario's base task.

For the two categories whose worlds are those of base. Long-context worlds hold more, so that other values are right
there. Where one side only has calls the other lacks, nothing is concluded: they may read what the other need not.
"""

from __future__ import annotations

from collections.abc import Iterator

from envtune.call_text import render_call
from envtune.evaluation.audit.finding import Finding, Reason
from envtune.evaluation.audit.turn_findings import empty_turn
from envtune.task import Category, Task, UserTurn

SAME_WORLD = (Category.MISS_FUNC, Category.MISS_PARAM)


def retold_findings(task: Task, base: Task) -> Iterator[Finding]:
    """The findings on turns of ``task`` whose message is also one of ``base``, the same scenario's."""
    if task.category not in SAME_WORLD:
        return
    told = {turn.message: turn for turn in base.turns}
    for index, turn in enumerate(task.turns):
        twin = told.get(turn.message) if turn.message else None
        if twin is None or _waits_for_tools(task, index):
            continue
        finding = _compare(index, turn, twin, base.id)
        if finding is not None:
            yield finding


def _waits_for_tools(task: Task, index: int) -> bool:
    """True for the turn before tools are handed over: its ground truth stands in the next."""
    return index + 1 < len(task.turns) and bool(task.turns[index + 1].new_tools)


def _compare(index: int, turn: UserTurn, twin: UserTurn, base: str) -> Finding | None:
    here = [render_call(call) for call in turn.ground_truth]
    there = [render_call(call) for call in twin.ground_truth]
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
