"""Turns made by hand and the label of each: two people who know docs/diagnosis.md should agree on all of them."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from envtune.diagnosis import Diagnosis, diagnose, diagnosis_shares, first_failure
from envtune.task import ToolCall
from envtune.trajectory import (
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

CD, MV, LS = ToolCall("cd", {"folder": "docs"}), ToolCall("mv", {"source": "a", "destination": "b"}), ToolCall("ls", {})
ELSEWHERE, FLY = ToolCall("cd", {"folder": "music"}), ToolCall("fly", {})
BROKEN = Step("?", FormatError(FormatFault.NO_ACTION, "Act."), (), "Act.")


def ok(*calls: ToolCall) -> Step:
    return made(*(ToolResult(call, True, "done") for call in calls))


def failed(*calls: ToolCall, valid: bool = True) -> Step:
    return made(*(ToolResult(call, False, "no", valid=valid) for call in calls))


def made(*results: ToolResult) -> Step:
    return Step("", ToolCalls("", tuple(result.call for result in results)), results, "")


@dataclass(frozen=True)
class Case:
    """A turn by what matters for its label; it ended with an answer, or else at a limit."""

    claim: str
    label: Diagnosis
    ground_truth: tuple[ToolCall, ...]
    steps: tuple[Step, ...]
    state: bool = True
    response: bool = True
    checked: float | None = None
    only_answer: bool | None = None
    end: TurnEnd = TurnEnd.ANSWERED

    @property
    def turn(self) -> Turn:
        answered = self.end is TurnEnd.ANSWERED
        expects = not self.ground_truth and self.checked is None if self.only_answer is None else self.only_answer
        called = any(step.results for step in self.steps)
        verdict = TurnVerdict(self.state, self.response, called, expects, answered, self.checked)
        steps = (*self.steps, Step("", FinalAnswer("", "Done."), (), "")) if answered else self.steps
        return Turn("Do it.", self.ground_truth, steps, self.end, verdict)


D = Diagnosis
LIMIT = {"end": TurnEnd.STEP_LIMIT}
WRONG = {"state": False, "response": False}
CASES = [
    Case("all calls as they should be", D.PASSED, (CD, MV), (ok(CD), ok(MV))),
    Case("a failed call that was repaired", D.PASSED, (CD,), (failed(ELSEWHERE), ok(CD))),
    Case("an invalid call does not matter in a passed turn", D.PASSED, (CD,), (failed(FLY, valid=False), ok(CD))),
    Case("a limit after the last call", D.PASSED, (CD,), (ok(CD), BROKEN), **LIMIT),
    Case("its results came in earlier turns", D.PASSED, (LS,), ()),
    Case("an answer where only an answer is due", D.CORRECT_ABSTENTION, (), ()),
    Case("a call where only an answer is due", D.SPURIOUS_TOOL_CALL, (), (ok(LS),)),
    Case("a call of an unknown tool there", D.SPURIOUS_TOOL_CALL, (), (failed(FLY, valid=False),)),
    Case("a call there, then no answer", D.SPURIOUS_TOOL_CALL, (), (ok(LS), BROKEN), **LIMIT),
    Case("neither a call nor an answer there", D.INVALID_TOOL_CALL, (), (BROKEN,), **LIMIT),
    Case("the token limit before a response there", D.RESPONSE_MISMATCH, (), (), end=TurnEnd.TOKEN_LIMIT),
    Case("an unknown tool and nothing else", D.INVALID_TOOL_CALL, (CD,), (failed(FLY, valid=False),), **WRONG),
    Case("wrong types, given up", D.INVALID_TOOL_CALL, (CD, MV), (failed(MV, valid=False), ok(CD)), **WRONG),
    Case("the last response broke the protocol", D.INVALID_TOOL_CALL, (CD, MV), (ok(CD), BROKEN), **WRONG, **LIMIT),
    Case("an invalid call, repaired", D.MISSING_TOOL_CALL, (CD, MV), (failed(CD, valid=False), ok(CD)), **WRONG),
    Case("a broken response, repaired", D.MISSING_TOOL_CALL, (CD, MV), (BROKEN, ok(CD)), **WRONG),
    Case("another value", D.ARGUMENT_MISMATCH, (CD,), (ok(ELSEWHERE),), **WRONG),
    Case("another value, whose call failed", D.ARGUMENT_MISMATCH, (CD,), (failed(ELSEWHERE),), **WRONG),
    Case("a value is missing", D.ARGUMENT_MISMATCH, (CD,), (ok(ToolCall("cd", {})),), **WRONG),
    Case("one call twice instead of two", D.ARGUMENT_MISMATCH, (CD, ELSEWHERE), (ok(CD, CD),), **WRONG),
    Case("another value beside a call that is missing", D.ARGUMENT_MISMATCH, (CD, MV), (ok(ELSEWHERE),), **WRONG),
    Case("another value before the right one", D.STATE_MISMATCH, (CD,), (ok(ELSEWHERE), ok(CD)), state=False),
    Case("one call too many", D.STATE_MISMATCH, (CD,), (ok(CD), ok(MV)), state=False),
    Case("the wrong order", D.STATE_MISMATCH, (CD, MV), (failed(MV), ok(CD)), state=False),
    Case("an earlier turn left a wrong state", D.STATE_MISMATCH, (CD,), (failed(CD),), **WRONG),
    Case("2 is 2.0", D.STATE_MISMATCH, (ToolCall("fund", {"n": 2}),), (ok(ToolCall("fund", {"n": 2.0})),), state=False),
    Case("a tuple", D.STATE_MISMATCH, (ToolCall("t", {"x": (1,)}),), (ok(ToolCall("t", {"x": [1]})),), state=False),
    Case("a prerequisite is missing, given up", D.RECOVERY_FAILURE, (CD, MV), (failed(MV),), **WRONG),
    Case("another tool failed, given up", D.RECOVERY_FAILURE, (CD,), (failed(LS),), **WRONG),
    Case("reads in the wrong order, one given up", D.RECOVERY_FAILURE, (CD, LS), (ok(CD), failed(LS)), response=False),
    Case("nothing was called", D.MISSING_TOOL_CALL, (CD,), (), **WRONG),
    Case("the last call is missing", D.MISSING_TOOL_CALL, (CD, MV), (ok(CD),), **WRONG),
    Case("a read is missing", D.MISSING_TOOL_CALL, (CD, LS), (ok(CD),), response=False),
    Case("another tool instead", D.MISSING_TOOL_CALL, (CD,), (ok(LS),), **WRONG),
    Case("a limit before the last call", D.MISSING_TOOL_CALL, (CD, MV), (ok(CD),), **WRONG, **LIMIT),
    Case("one call where two equal ones are due", D.MISSING_TOOL_CALL, (CD, CD), (ok(CD),), **WRONG),
    Case("a right state and other results", D.RESPONSE_MISMATCH, (CD, LS), (ok(LS), ok(CD)), response=False),
    Case("a check granted all", D.PASSED, (), (ok(CD),), checked=1.0),
    Case("a check granted an answer alone", D.PASSED, (), (), checked=1.0),
    Case("an abstention that was judged", D.CORRECT_ABSTENTION, (), (), checked=1.0, only_answer=True),
    Case("a call where one was judged", D.SPURIOUS_TOOL_CALL, (), (ok(LS),), checked=0.0, only_answer=True),
    Case("an older file: a check and a call", D.PASSED, (), (ok(CD),), checked=1.0, only_answer=True),
    Case("the goal of a check was missed", D.STATE_MISMATCH, (), (ok(CD),), checked=0.5),
    Case("nothing was called for a check", D.MISSING_TOOL_CALL, (), (), checked=0.0),
    Case("given up before the goal of a check", D.RECOVERY_FAILURE, (), (failed(CD),), checked=0.0),
    Case("an invalid call before one", D.INVALID_TOOL_CALL, (), (failed(CD, valid=False),), checked=0.0),
    Case("a check with a ground truth", D.ARGUMENT_MISMATCH, (CD,), (ok(ELSEWHERE),), checked=0.0),
    Case("all calls, and the check wants more", D.STATE_MISMATCH, (CD,), (ok(CD),), checked=0.0),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.claim.replace(" ", "_"))
def test_the_label_of_a_turn(case: Case):
    assert diagnose(case.turn) is case.label


def test_every_label_has_a_case():
    assert {case.label for case in CASES} == set(Diagnosis)


calls = st.sampled_from([CD, MV, LS, ELSEWHERE, FLY])
steps = st.one_of(
    st.just(BROKEN),
    st.lists(st.builds(ToolResult, calls, st.booleans(), st.just(""), st.none(), st.booleans()), min_size=1, max_size=3)
    .map(lambda results: made(*results)),
)  # fmt: skip
cases = st.builds(
    Case,
    *(st.just(""), st.just(D.PASSED), st.lists(calls, max_size=3).map(tuple), st.lists(steps, max_size=3).map(tuple)),
    *(st.booleans(), st.booleans(), st.sampled_from([None, 0.0, 0.5, 1.0]), st.none(), st.sampled_from(TurnEnd)),
)


@given(cases)
def test_every_turn_has_a_label_and_it_is_one_of_a_passed_turn_exactly_if_it_passed(case: Case):
    assert diagnose(case.turn).is_failure is not case.turn.verdict.passed


def _episode(*names: str, turn_count: int) -> Trajectory:
    turns = tuple(next(case.turn for case in CASES if case.claim == name) for name in names)
    return Trajectory("t", "base", turn_count, turns, EpisodeEnd.TERMINATED)


def test_shares_are_of_all_turns_of_the_task_and_those_of_passed_turns_sum_to_its_progress():
    played = _episode("nothing was called", "a tuple", "one call too many", turn_count=5)
    shares = diagnosis_shares(played)
    assert list(shares) == list(Diagnosis)
    assert shares == dict.fromkeys(Diagnosis, 0) | {D.MISSING_TOOL_CALL: 0.2, D.STATE_MISMATCH: 0.4}
    played = _episode("all calls as they should be", "an answer where only an answer is due", turn_count=4)
    shares = diagnosis_shares(played)
    assert shares[D.PASSED] + shares[D.CORRECT_ABSTENTION] == played.progress == 0.5


def test_the_first_failure_is_the_one_that_no_other_caused():
    played = _episode("all calls as they should be", "nothing was called", "one call too many", turn_count=3)
    assert first_failure(played) is D.MISSING_TOOL_CALL
    assert first_failure(_episode("all calls as they should be", turn_count=1)) is None
