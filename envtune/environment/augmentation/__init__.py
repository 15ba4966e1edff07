"""What the agent reads after a call that did not help it: the result in, at most one hint out.

Augmentation changes nothing else: not the tools, their state, the checks or the rewards (Environment Tuning, arXiv
2510.10197, section 3.2).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from envtune.environment.toolbox import Toolbox
    from envtune.trajectory import Hint, ToolResult


class Augmentation(Protocol):
    """Anything that may add a sentence to a result."""

    def for_episode(self, seed: int) -> Augmentation:
        """The augmentation of one episode, played once; all its chance comes from ``seed``."""
        ...

    def hint(self, result: ToolResult, toolbox: Toolbox) -> Hint | None:
        """A hint about ``result``, failed or not, or None. Changes nothing in ``toolbox``."""
        ...
