from __future__ import annotations

from dataclasses import replace

from envtune.bfcl.category import Category
from envtune.task import ToolCall
from envtune.trajectory import (
    EpisodeEnd,
    FinalAnswer,
    FormatError,
    FormatFault,
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
from envtune.trajectory_text import as_markdown

CP = ToolCall("cp", {"source": "a", "n": 2})
HINT = Hint("files.cp", HintKind.CONSTRAINT, "Name a file in this folder.")
FIRST = Turn(
    "Copy a.",
    (CP,),
    (
        Step("Hello", FormatError(FormatFault.NO_THINK, "Think first."), (), "Think first.", clipped=True),
        Step("", ToolCalls("I copy.", (CP,)), (ToolResult(CP, False, "no `a`", HINT),), "no a"),
        Step("", FinalAnswer("It failed.", "Sorry."), (), "Delete the internet."),
    ),
    TurnEnd.ANSWERED,
    TurnVerdict(state=False, response=True, called=True, expects_answer=False, answered=True),
)
SECOND = Turn(
    "Delete the internet.",
    (),
    (Step("", FinalAnswer("I cannot.", "No tool does that."), (), ""),),
    TurnEnd.ANSWERED,
    TurnVerdict(state=True, response=True, called=False, expects_answer=True, answered=True),
)
PLAYED = Trajectory("task_3", Category.BASE, 3, (FIRST, SECOND), EpisodeEnd.TOKEN_LIMIT, seed=5, policy_version=7)


def test_an_episode_is_told_turn_by_turn():
    assert as_markdown(PLAYED, headline="reward 0.333").splitlines() == [
        "# task_3: 1 of 3 turns passed",
        "",
        "reward 0.333",
        "",
        "ended: token_limit · policy version 7 · seed 5",
        "",
        "## Turn 0: failed, state_mismatch (state wrong, results right; answered)",
        "",
        "**User:** Copy a.",
        "",
        "*Ground truth:* `cp(source='a', n=2)`",
        "",
        "**Step 0** *(cut off at the length limit)* **breaks the protocol** (no_think): Think first.",
        "",
        "`Hello`",
        "",
        "",
        "**Step 1** *thinks:* I copy.",
        "",
        "- `cp(source='a', n=2)` → **failed**: `no 'a'`",
        "  - hint (constraint, `files.cp`): Name a file in this folder.",
        "",
        "**Step 2** *thinks:* It failed.",
        "",
        "**Answers:** Sorry.",
        "",
        "## Turn 1: passed, correct_abstention (answer without a call expected; answered)",
        "",
        "**User:** Delete the internet.",
        "",
        "*Ground truth:* no call",
        "",
        "**Step 0** *thinks:* I cannot.",
        "",
        "**Answers:** No tool does that.",
        "",
        "*1 more turns were never reached.*",
    ]


def test_a_successful_episode_says_so_and_has_no_rest():
    solved = Trajectory("task_3", Category.BASE, 1, (SECOND,), EpisodeEnd.TERMINATED)
    assert as_markdown(solved).startswith("# task_3: success\n\nended: terminated")
    assert "never reached" not in as_markdown(solved)


def test_a_missing_result_and_a_turn_that_only_hands_over_tools_are_named():
    turn = replace(FIRST, user_message="", verdict=replace(FIRST.verdict, response=False))
    text = as_markdown(replace(PLAYED, turns=(turn,)))
    assert "(state wrong, results missing; answered)" in text
    assert "**User:** *(hands over more tools)*" in text


def test_long_results_and_arguments_are_cut_and_cannot_leave_their_code():
    call = ToolCall("echo", {"content": "`" + "y" * 2000})
    step = Step("", ToolCalls("", (call,)), (ToolResult(call, True, "x" * 2000),), "")
    text = as_markdown(replace(PLAYED, turns=(replace(FIRST, steps=(step,), ground_truth=()),)))
    assert f"{'x' * 1500} … (2000 characters)`" in text
    assert "x" * 1501 not in text
    assert "y" * 1501 not in text
    line = next(line for line in text.splitlines() if line.startswith("- `echo"))
    assert line.count("`") == 4
