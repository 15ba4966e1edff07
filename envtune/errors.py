"""The user's mistakes: told in one sentence that names the value, what is allowed and what to do."""

from __future__ import annotations


class UserError(ValueError):
    """A setting, path or file of the user's is wrong. Commands print the sentence and no traceback."""
