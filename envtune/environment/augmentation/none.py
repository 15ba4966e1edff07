"""No augmentation: the agent reads the tools' own messages (stage 4, evaluation, and the ablation)."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from envtune.environment.augmentation.rule import View
    from envtune.task import ToolCall
    from envtune.trajectory import Hint


class NoAugmentation:
    """Never gives a hint."""

    def hint(self, call: ToolCall, text: str, toolbox: View) -> Hint | None:
        return None
