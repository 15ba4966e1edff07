"""The exception for a call beyond a limit; a world turns it into a failed result."""

from __future__ import annotations


class LimitExceeded(Exception):
    """A call is beyond a limit. The message names the limit for the agent."""
