"""No augmentation: the agent reads the tools' own messages (stage 4, evaluation, and the ablation)."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from envtune.environment.augmentation.rule import View
    from envtune.trajectory import Hint, ToolResult


class NoAugmentation:
    """The augmentation without hints."""

    def for_episode(self, seed: int) -> NoAugmentation:
        """Return this object, which has no state."""
        return self

    def hint(self, result: ToolResult, toolbox: View) -> Hint | None:
        """Return None."""
        return None
