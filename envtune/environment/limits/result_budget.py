"""Limits on the results that the agent reads: per call, and for all calls of one response together."""

from __future__ import annotations

from envtune.environment.limits.exceeded import LimitExceeded

MAX_RESULT_CHARACTERS = 200_000
MAX_RESPONSE_CHARACTERS = 400_000


class ResultBudget:
    """The characters left for the results of one response's calls, including results too long to show."""

    def __init__(self, left: int | None = None) -> None:
        self.left = MAX_RESPONSE_CHARACTERS if left is None else left

    def check_room(self) -> None:
        """Check before a call that the budget is not used up.

        Raises:
            LimitExceeded: the results so far have used up the budget; the call must not run.
        """
        if self.left <= 0:
            raise LimitExceeded(
                f"the calls before it returned {MAX_RESPONSE_CHARACTERS} characters or more; make this call in your "
                "next response"
            )

    def take(self, text: str) -> None:
        """Subtract the result of a call from the budget.

        Raises:
            LimitExceeded: the result is too long to show.
        """
        self.left -= len(text)
        if len(text) > MAX_RESULT_CHARACTERS:
            raise LimitExceeded(f"the result has {len(text)} characters; {MAX_RESULT_CHARACTERS} can be shown")
