"""What the agent reads after a failed call: the failed result's text in, at most one hint out.

Augmentation changes nothing else: not the tools, their state, the checks or the rewards (Environment Tuning, arXiv
2510.10197, section 3.2). Which calls are worth asking about is the episode's decision, not decided here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from envtune.environment.toolbox import Toolbox
    from envtune.task import ToolCall
    from envtune.trajectory import Hint


class Augmentation(Protocol):
    """Anything that may add a sentence to a failed result."""

    def hint(self, call: ToolCall, text: str, toolbox: Toolbox) -> Hint | None:
        """A hint about ``call``, whose failed result reads ``text``, or None. Changes nothing in ``toolbox``."""
        ...
