"""Errors of users: one sentence with the value, what is allowed and what to do."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches


class UserError(ValueError):
    """A setting, path or file of the user is not valid. Commands print the sentence without a traceback."""


def valid_names(given: str, valid: Iterable[str]) -> str:
    """Return the part of a sentence that lists the valid names, with the closest one to ``given`` first."""
    names = sorted(valid)
    close = get_close_matches(given, names, n=1)
    hint = f"did you mean {close[0]}? " if close else ""
    return f"{hint}valid are: {', '.join(names)}"
