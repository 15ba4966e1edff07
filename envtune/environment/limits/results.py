"""Bounds on the results that the agent reads."""

from __future__ import annotations

from envtune.environment.limits.exceeded import LimitExceeded

MAX_RESULT_CHARACTERS = 200_000


def check_result(text: str) -> None:
    """Refuses a result that is too long to show.

    Raises:
        LimitExceeded: if it is.
    """
    if len(text) > MAX_RESULT_CHARACTERS:
        raise LimitExceeded(f"the result has {len(text)} characters; {MAX_RESULT_CHARACTERS} can be shown")
