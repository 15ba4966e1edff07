"""What a call that is beyond a bound raises; the toolbox makes a failed result of it."""

from __future__ import annotations


class LimitExceeded(Exception):
    """A call is beyond a bound. The message tells the agent which."""
