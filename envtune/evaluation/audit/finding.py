"""What an audit says: a reason, its severity, and where in a task it holds."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class Severity(str, Enum):
    """How bad a finding is for an agent that does exactly what it is told.

    ``cannot_pass``: no sequence of offered calls that holds the ground truth's is possible. ``must_guess``: the verdict
    hangs on a value that the agent can nowhere read, so that passing is luck. ``defective``: the ground truth
    contradicts what the agent reads, or expects no act where the same request is acted on elsewhere; who does as told
    fails. ``progress_only``: BFCL's verdict is not touched, but the method's progress rule fails the turn of an agent
    that does as told.
    """

    CANNOT_PASS = "cannot_pass"
    MUST_GUESS = "must_guess"
    DEFECTIVE = "defective"
    PROGRESS_ONLY = "progress_only"

    def __str__(self) -> str:
        return self.value


class Reason(str, Enum):
    """Why a task is on the list. docs/audit.md says what each one can and cannot know."""

    WITHHELD_TOOL = "withheld_tool"
    UNREADABLE_ARGUMENT = "unreadable_argument"
    UNSTATED_WORDING = "unstated_wording"
    UNSTATED_CHOICE = "unstated_choice"
    ALTERED_WORDING = "altered_wording"
    FAILING_GROUND_TRUTH = "failing_ground_truth"
    UNNEEDED_TOOL = "unneeded_tool"
    GIVEN_VALUE = "given_value"
    TWIN_DISAGREEMENT = "twin_disagreement"
    EMPTY_TURN = "empty_turn"

    def __str__(self) -> str:
        return self.value

    @property
    def severity(self) -> Severity:
        return _SEVERITIES[self]


_SEVERITIES = {
    Reason.WITHHELD_TOOL: Severity.CANNOT_PASS,
    Reason.UNREADABLE_ARGUMENT: Severity.MUST_GUESS,
    Reason.UNSTATED_WORDING: Severity.MUST_GUESS,
    Reason.UNSTATED_CHOICE: Severity.MUST_GUESS,
    Reason.ALTERED_WORDING: Severity.DEFECTIVE,
    Reason.FAILING_GROUND_TRUTH: Severity.DEFECTIVE,
    Reason.UNNEEDED_TOOL: Severity.DEFECTIVE,
    Reason.GIVEN_VALUE: Severity.DEFECTIVE,
    Reason.TWIN_DISAGREEMENT: Severity.DEFECTIVE,
    Reason.EMPTY_TURN: Severity.PROGRESS_ONLY,
}


@dataclass(frozen=True, slots=True)
class Finding:
    """One reason in one turn (from 0). ``subject`` is the call, value or tools concerned; ``text`` one sentence."""

    reason: Reason
    turn: int
    subject: str
    text: str
