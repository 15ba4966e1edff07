"""What went wrong in a turn, as one label: `docs/diagnosis.md` has the definitions with examples.

The labels are those of SEAL (arXiv 2605.24426); the definitions are our own. They depend on nothing but the turn's
record: the agent's calls and results, the ground truth and the verdict. What an earlier turn left behind is therefore
labelled as the turn shows it, most often as a state mismatch.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from envtune.task import TextEnum, ToolCall
from envtune.trajectory import FormatError, ToolResult, Trajectory, Turn


class Diagnosis(TextEnum):
    """The labels of a turn: two of passed turns, then those of failed ones, the dominant first."""

    PASSED = "passed"
    CORRECT_ABSTENTION = "correct_abstention"
    SPURIOUS_TOOL_CALL = "spurious_tool_call"
    INVALID_TOOL_CALL = "invalid_tool_call"
    ARGUMENT_MISMATCH = "argument_mismatch"
    STATE_MISMATCH = "state_mismatch"
    RECOVERY_FAILURE = "recovery_failure"
    MISSING_TOOL_CALL = "missing_tool_call"
    RESPONSE_MISMATCH = "response_mismatch"

    @property
    def is_failure(self) -> bool:
        """True if a turn with this label has not passed by the method's rule."""
        return self not in (Diagnosis.PASSED, Diagnosis.CORRECT_ABSTENTION)


def diagnose(turn: Turn) -> Diagnosis:
    """Return the label of a turn: of a failed one, the first in the order of ``Diagnosis`` whose definition holds."""
    verdict, calls = turn.verdict, _Calls.of(turn)
    if verdict.passed:
        abstained = verdict.expects_answer and not verdict.called
        return Diagnosis.CORRECT_ABSTENTION if abstained else Diagnosis.PASSED
    if verdict.expects_answer and verdict.called:
        return Diagnosis.SPURIOUS_TOOL_CALL
    if _ends_in_broken_protocol(turn) or any(not result.valid for result in calls.given_up):
        return Diagnosis.INVALID_TOOL_CALL
    if verdict.expects_answer:
        return Diagnosis.RESPONSE_MISMATCH
    if {call.name for call in calls.missing} & {call.name for call in calls.surplus}:
        return Diagnosis.ARGUMENT_MISMATCH
    # Which calls lead to the goal of a check is not recorded without ground truth.
    due = bool(calls.missing) if turn.ground_truth else not verdict.called or bool(calls.given_up)
    wrong_state = not verdict.state if verdict.checked is None else True
    if wrong_state and not due:
        return Diagnosis.STATE_MISMATCH
    if calls.given_up:
        return Diagnosis.RECOVERY_FAILURE
    return Diagnosis.MISSING_TOOL_CALL if due else Diagnosis.RESPONSE_MISMATCH


def diagnosis_shares(trajectory: Trajectory) -> dict[Diagnosis, float]:
    """Return the share of the task's turns, in [0, 1], with each label; a turn never reached has none.

    The shares of the two labels of passed turns sum to ``progress``, except where a check granted a part of a turn.
    """
    counts = Counter(map(diagnose, trajectory.turns))
    return {label: counts[label] / trajectory.turn_count for label in Diagnosis}


def first_failure(trajectory: Trajectory) -> Diagnosis | None:
    """Return the label of the first failed turn, which no earlier failure has caused; None if no turn has failed."""
    return next((label for label in map(diagnose, trajectory.turns) if label.is_failure), None)


@dataclass(frozen=True, slots=True)
class _Calls:
    """The calls of a turn beside those of its ground truth, each call matched with at most one equal call."""

    missing: tuple[ToolCall, ...]
    """Of the ground truth, not made."""
    surplus: tuple[ToolCall, ...]
    """Made, not of the ground truth."""
    given_up: tuple[ToolResult, ...]
    """The last result of each tool, if it has failed."""

    @classmethod
    def of(cls, turn: Turn) -> _Calls:
        results = [result for step in turn.steps for result in step.results]
        surplus, missing = _plain(result.call for result in results), []
        for call in _plain(turn.ground_truth):
            if call in surplus:
                surplus.remove(call)
            else:
                missing.append(call)
        last = {result.call.name: result for result in results}
        return cls(tuple(missing), tuple(surplus), tuple(result for result in last.values() if not result.ok))


def _ends_in_broken_protocol(turn: Turn) -> bool:
    return bool(turn.steps) and isinstance(turn.steps[-1].action, FormatError)


def _plain(calls: Iterable[ToolCall]) -> list[ToolCall]:
    """Return the calls with lists for tuples, as JSON has them: an agent cannot write a ground truth's tuple."""
    return [ToolCall(call.name, _lists(call.arguments)) for call in calls]


def _lists(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _lists(part) for key, part in value.items()}
    return [_lists(part) for part in value] if isinstance(value, list | tuple) else value
