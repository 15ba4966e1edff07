from __future__ import annotations

from envtune.bfcl.category import Category
from envtune.task import ToolCall
from envtune.trajectory import (
    EpisodeEnd,
    Hint,
    HintKind,
    Step,
    ToolCalls,
    ToolResult,
    Trajectory,
    Turn,
    TurnEnd,
    TurnVerdict,
)

VERDICT = TurnVerdict(state=True, response=True, called=True, expects_answer=False, answered=True)


def ok(tool: str, text: str = "fine") -> ToolResult:
    return ToolResult(ToolCall(tool, {}), True, text)


def failed(tool: str) -> ToolResult:
    return ToolResult(ToolCall(tool, {}), False, "no")


def hinted(result: ToolResult) -> ToolResult:
    return ToolResult(result.call, result.ok, result.text, Hint("rule", HintKind.CONSTRAINT, "Read the rules."))


def episode(*turns: list[list[ToolResult]]) -> Trajectory:
    """With these results, by turn and step."""
    played = tuple(
        Turn("", (), tuple(Step("", ToolCalls("", ()), tuple(step), "") for step in turn), TurnEnd.ANSWERED, VERDICT)
        for turn in turns
    )
    return Trajectory("t", Category.BASE, len(played), played, EpisodeEnd.TERMINATED)


def recoveries(*turns: list[list[ToolResult]]) -> tuple[bool | None, ...]:
    return episode(*turns).recoveries


def test_a_hint_is_recovered_from_if_the_next_attempt_at_its_tool_succeeds():
    assert recoveries([[hinted(failed("rm"))], [ok("rm")]]) == (True,)
    assert recoveries([[hinted(failed("rm"))], [failed("rm")], [ok("rm")]]) == (False,)
    assert recoveries([[hinted(failed("rm"))], [ok("ls")], [ok("rm"), failed("rm")]]) == (True,)


def test_the_next_attempt_may_come_in_a_later_turn():
    assert recoveries([[hinted(failed("rm"))]], [[ok("cd")], [ok("rm")]]) == (True,)


def test_without_a_further_attempt_there_is_neither_recovery_nor_failure():
    assert recoveries([[hinted(failed("rm"))], [ok("ls")]]) == (None,)


def test_calls_of_the_hinted_step_were_written_before_the_hint_was_read():
    assert recoveries([[hinted(failed("rm")), ok("rm")]]) == (None,)
    assert recoveries([[hinted(failed("rm")), hinted(failed("rm"))], [failed("rm")]]) == (False, False)


def test_after_a_hint_on_an_answer_the_same_answer_is_no_recovery():
    unknown = ok("find_zip", "00000")
    assert recoveries([[hinted(unknown)], [hinted(unknown)], [ok("find_zip", "94016")]]) == (False, True)


def test_results_without_hints_are_left_out():
    assert recoveries([[failed("rm")], [ok("rm")]]) == ()


def test_failures_without_a_hint_are_recovered_from_in_the_same_way():
    played = episode([[failed("rm")], [hinted(failed("rm"))], [ok("rm")], [failed("cd")]])
    assert played.unaided_recoveries == (False, None)
    assert played.recoveries == (True,)
