"""Bounds on the results that the agent reads: of one call, and of all calls of one response together."""

from __future__ import annotations

from envtune.environment.limits.exceeded import LimitExceeded

MAX_RESULT_CHARACTERS = 200_000
MAX_RESPONSE_CHARACTERS = 400_000


class ResultBudget:
    """What the results of one response's calls may come to. Results that are too long to show count as well."""

    def __init__(self) -> None:
        self._left = MAX_RESPONSE_CHARACTERS

    def check_room(self) -> None:
        """Before a call.

        Raises:
            LimitExceeded: if the calls before it have used the budget up; the call must not run then.
        """
        if self._left <= 0:
            raise LimitExceeded(
                f"the calls before it returned {MAX_RESPONSE_CHARACTERS} characters or more; make this call in your "
                "next response"
            )

    def take(self, text: str) -> None:
        """After a call.

        Raises:
            LimitExceeded: if ``text``, its result, is too long to show.
        """
        self._left -= len(text)
        if len(text) > MAX_RESULT_CHARACTERS:
            raise LimitExceeded(f"the result has {len(text)} characters; {MAX_RESULT_CHARACTERS} can be shown")
