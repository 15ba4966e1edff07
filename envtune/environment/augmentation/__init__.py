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
    """What a run adds to results: where the hints of each of its episodes come from."""

    def for_episode(self, seed: int) -> Hints:
        """The hints of one episode, to be played once. If chance decides on them, ``seed`` decides on chance."""
        ...


class Hints(Protocol):
    """Anything that may add a sentence to a result."""

    def hint(self, result: ToolResult, toolbox: Toolbox) -> Hint | None:
        """A hint about ``result``, failed or not, or None. Changes nothing in ``toolbox``."""
        ...
