from __future__ import annotations

import pytest

from envtune.errors import UserError
from envtune.task import Task, UserTurn, call
from envtune.training.cloning.demonstrator import Demonstrator
from envtune.trajectory import FinalAnswer, ToolCalls

A, B, C = call("cd", folder="a"), call("ls"), call("ls", all=True)


def task_of(*turns: UserTurn) -> Task:
    return Task("one", "base", None, turns)


def thoughts_and_calls(calls: str, step_limit: int) -> list[tuple[str, tuple]]:
    actions = Demonstrator(calls=calls).actions(task_of(UserTurn("Look.", (A, B, C))), step_limit)
    return [(action.thought, action.calls) for action in actions if isinstance(action, ToolCalls)]


def test_every_call_has_a_response_of_its_own_and_an_answer_ends_the_turn():
    assert thoughts_and_calls("single", 3) == [("I call cd.", (A,)), ("I call ls.", (B,)), ("I call ls.", (C,))]
    *_, last = Demonstrator().actions(task_of(UserTurn("Look.", (A,))), 3)
    assert last == FinalAnswer("The calls are made.", "Done.")


def test_calls_share_responses_where_the_step_limit_leaves_no_room():
    assert thoughts_and_calls("single", 2) == [("I call cd, ls.", (A, B)), ("I call ls.", (C,))]
    assert thoughts_and_calls("single", 1) == [("I call cd, ls.", (A, B, C))]


def test_all_calls_of_a_turn_share_a_response_if_asked_for():
    assert thoughts_and_calls("turn", 9) == [("I call cd, ls.", (A, B, C))]


def test_a_turn_without_ground_truth_is_answered_with_what_is_missing():
    demonstrator = Demonstrator(unable="I lack it.", unable_answer="Which one?")
    actions = list(demonstrator.actions(task_of(UserTurn("Do it."), UserTurn("This one.", (B,))), 5))
    assert actions[0] == FinalAnswer("I lack it.", "Which one?")
    assert [type(action) for action in actions[1:]] == [ToolCalls, FinalAnswer]


def test_braces_in_the_words_of_a_user_are_plain_text():
    (first, _) = Demonstrator(calling="{x} {tools}").actions(task_of(UserTurn("Look.", (B,))), 1)
    assert first.thought == "{x} ls"


def test_another_grouping_of_calls_is_refused_in_a_sentence():
    with pytest.raises(UserError, match="calls='pairs' must be one of single, turn"):
        Demonstrator(calls="pairs")
