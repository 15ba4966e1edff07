from __future__ import annotations

from envtune.task import ToolCall
from envtune.trajectory import Step, ToolCalls, ToolResult, Turn, TurnEnd, TurnVerdict
from tools.tiny_model import scores as tiny_scores


def test_arguments_are_judged_where_a_tool_of_the_ground_truth_was_called():
    wanted = (ToolCall("cd", {"folder": "a"}), ToolCall("cd", {"folder": "b"}))
    made = (ToolCall("cd", {"folder": "b"}), ToolCall("ls", {}), ToolCall("cd", {"folder": "c"}))
    results = tuple(ToolResult(call, "", True) for call in made)
    step = Step("", ToolCalls("", made), results, "", False)
    turn = Turn("Go.", wanted, (step,), TurnEnd.ANSWERED, TurnVerdict(True, True, True, False, True))
    assert list(tiny_scores.right_arguments(turn)) == [True, False]


def test_turns_are_informed_until_one_has_failed():
    passed = Turn("", (), (), TurnEnd.ANSWERED, TurnVerdict(True, True, True, False, True))
    failed = Turn("", (), (), TurnEnd.ANSWERED, TurnVerdict(False, True, True, False, True))
    assert not failed.verdict.passed
    assert tiny_scores.up_to_the_first_failed((passed, failed, passed)) == (passed, failed)
    assert tiny_scores.up_to_the_first_failed((passed, passed)) == (passed, passed)
