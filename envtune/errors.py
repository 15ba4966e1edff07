"""The user's mistakes: told in one sentence that names the value, what is allowed and what to do."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches


class UserError(ValueError):
    """A setting, path or file of the user's is wrong. Commands print the sentence and no traceback."""


def valid_names(given: str, valid: Iterable[str]) -> str:
    """What may be written in the place of ``given``, the likeliest first."""
    names = sorted(valid)
    close = get_close_matches(given, names, n=1)
    hint = f"did you mean {close[0]}? " if close else ""
    return f"{hint}valid are: {', '.join(names)}"
