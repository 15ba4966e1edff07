"""Records of an audit: the reason of a finding, its severity and its place in the task."""

from __future__ import annotations

from dataclasses import dataclass

from envtune.task import TextEnum


class Severity(TextEnum):
    """The effect of a finding on an agent that follows its instructions exactly."""

    CANNOT_PASS = "cannot_pass"
    """No sequence of offered calls contains the ground truth's calls."""
    MUST_GUESS = "must_guess"
    """The verdict depends on a value that the agent cannot read anywhere."""
    DEFECTIVE = "defective"
    """The ground truth contradicts the texts, or expects no call where the same request has calls elsewhere."""
    PROGRESS_ONLY = "progress_only"
    """BFCL's verdict is not affected, but the turn fails by the method's progress rule."""


class Reason(TextEnum):
    """Why a task is on the list; docs/audit.md defines the reasons and their limits."""

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

    @property
    def severity(self) -> Severity:
        """The severity of every finding with this reason."""
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
    """One defect in one turn of a task."""

    reason: Reason
    turn: int
    """From 0."""
    subject: str
    """The call, value or tools concerned."""
    text: str
    """One sentence of explanation."""
