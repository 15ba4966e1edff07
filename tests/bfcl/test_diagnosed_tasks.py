"""Departures from the ground truths of BFCL's own tasks, played as live episodes, and the labels of their turns."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import pytest

from envtune.bfcl.benchmark import load_bfcl_tasks
from envtune.bfcl.environment import BFCL_ENVIRONMENT
from envtune.chat.protocol import parse, write_answer, write_calls
from envtune.diagnosis import Diagnosis, diagnose
from envtune.environment.augmentation.none import NoAugmentation
from envtune.environment.episode import Episode
from envtune.task import Task, ToolCall, call
from envtune.trajectory import Trajectory

D = Diagnosis
Turns = list[list[ToolCall]]
TASKS = {task.id: task for task in load_bfcl_tasks()}
BASE = TASKS["multi_turn_base_0"]  # cd, mkdir, mv; cd, grep; sort; cd, mv, cd, diff
MISS_FUNC = TASKS["multi_turn_miss_func_0"]
MISS_PARAM = TASKS["multi_turn_miss_param_3"]


def played(task: Task, turns: Sequence[Sequence[ToolCall]]) -> Trajectory:
    """The calls as an agent writes them, one in each step, and an answer at the end of each turn."""
    episode = Episode(BFCL_ENVIRONMENT, task, parse, NoAugmentation(), step_limit=100)
    episode.reset()
    for calls in turns:
        for made in calls:
            episode.step(write_calls("I act.", [made]))
        episode.step(write_answer("I am done.", "Done."))
    return episode.finish()


def truth(task: Task) -> Turns:
    return [list(turn.ground_truth) for turn in task.turns]


def labels(task: Task, turns: Turns) -> list[Diagnosis]:
    return [diagnose(turn) for turn in played(task, turns).turns]


@pytest.mark.parametrize("task", [BASE, MISS_FUNC, MISS_PARAM], ids=lambda task: task.id)
def test_a_ground_truth_is_passed_and_abstains_where_it_has_no_call(task: Task):
    expected = [D.PASSED if turn.ground_truth else D.CORRECT_ABSTENTION for turn in task.turns]
    assert labels(task, truth(task)) == expected
    assert set(expected) == ({D.PASSED} if task is BASE else {D.PASSED, D.CORRECT_ABSTENTION})


def _argument_changed(calls: list[ToolCall]) -> list[ToolCall]:
    return [*calls[:-1], replace(calls[-1], arguments=dict.fromkeys(calls[-1].arguments, "elsewhere"))]


@pytest.mark.parametrize(
    ("change", "label"),
    [
        (lambda calls: calls[:-1], D.MISSING_TOOL_CALL),
        (lambda calls: [], D.MISSING_TOOL_CALL),
        (_argument_changed, D.ARGUMENT_MISMATCH),
        (lambda calls: [call("no_such_tool", a=1)], D.INVALID_TOOL_CALL),
        (lambda calls: [*calls[:-1], call(calls[-1].name, no_such_argument=1)], D.INVALID_TOOL_CALL),
        (lambda calls: [*calls, call("mkdir", dir_name="one_more")], D.STATE_MISMATCH),
        # In the wrong folder the move fails.
        (lambda calls: calls[1:], D.RECOVERY_FAILURE),
        (lambda calls: [calls[2], *calls], D.PASSED),
        # Without its folder the move renames.
        (lambda calls: [calls[0], calls[2], calls[1]], D.STATE_MISMATCH),
        (lambda calls: [calls[0], calls[2]], D.MISSING_TOOL_CALL),
        (lambda calls: [calls[0], call("mkdir"), calls[1], calls[2]], D.PASSED),
    ],
    ids=[
        *("last_call_dropped", "answer_only", "argument_changed", "unknown_tool", "unknown_argument", "one_more_call"),
        *("prerequisite_dropped", "failed_and_repaired", "wrong_order", "call_between_dropped", "invalid_and_repaired"),
    ],
)
def test_a_departure_in_the_first_turn_of_a_task(change: Callable[[list[ToolCall]], list[ToolCall]], label: Diagnosis):
    turns = truth(BASE)
    assert [made.name for made in turns[0]] == ["cd", "mkdir", "mv"]
    assert labels(BASE, [change(turns[0]), *turns[1:]])[0] is label


def test_a_read_that_was_left_out_is_missing_although_the_state_is_right():
    turns = truth(BASE)
    assert [made.name for made in turns[2]] == ["sort"]
    assert labels(BASE, [*turns[:2], [], *turns[3:]]) == [D.PASSED, D.PASSED, D.MISSING_TOOL_CALL, D.PASSED]


def test_reads_before_the_writes_that_they_should_show_are_a_response_mismatch():
    read_early = [call("ls"), call("touch", file_name="x.txt")]
    turns = (replace(BASE.turns[0], ground_truth=tuple(reversed(read_early))),)
    assert labels(replace(BASE, turns=turns), [read_early]) == [D.RESPONSE_MISMATCH]


def test_what_a_failed_turn_leaves_behind_is_a_state_mismatch_of_the_turns_after_it():
    turns = truth(BASE)
    assert labels(BASE, [turns[0][:-1], *turns[1:]])[1:] == [D.STATE_MISMATCH] * (len(turns) - 1)


@pytest.mark.parametrize("task", [MISS_FUNC, MISS_PARAM], ids=lambda task: task.id)
def test_a_call_where_none_is_due_is_spurious_whatever_it_is(task: Task):
    turn = next(index for index, asked in enumerate(task.turns) if not asked.ground_truth)
    tool = task.tools_offered_at(turn)[0].name
    for made in (call(tool), call("no_such_tool")):
        turns = truth(task)
        turns[turn] = [made]
        assert labels(task, turns)[turn] is D.SPURIOUS_TOOL_CALL


def test_a_withheld_tool_cannot_be_called_validly_before_it_is_handed_over():
    turns = truth(MISS_FUNC)
    handed_over = next(index for index, asked in enumerate(MISS_FUNC.turns) if asked.new_tools)
    withheld = next(made for made in turns[handed_over] if made.name in MISS_FUNC.turns[handed_over].new_tools)
    results = played(MISS_FUNC, [[withheld], *turns[1:]]).turns[0].steps[0].results
    assert [(result.ok, result.valid) for result in results] == [(False, False)]


def test_a_call_that_succeeded_is_valid_whatever_its_document_says():
    results = played(BASE, [[call("ls", a="yes")], *truth(BASE)[1:]]).turns[0].steps[0].results
    assert [(result.ok, result.valid) for result in results] == [(True, True)]
