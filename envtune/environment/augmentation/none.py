"""No augmentation: the agent reads the tools' own messages (stage 4, evaluation, and the ablation)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from envtune.environment.augmentation import Hints
    from envtune.environment.interface import Environment, World
    from envtune.task import Task, ToolDocument
    from envtune.trajectory import Hint, ToolResult


class NoAugmentation:
    """The augmentation without hints."""

    def for_episode(self, environment: Environment, task: Task, seed: int) -> NoAugmentation:
        """Return this object, which has no state."""
        return self

    def shown(self, tool: ToolDocument) -> ToolDocument:
        """Return the document unchanged."""
        return tool

    def hint(self, result: ToolResult, world: World) -> Hint | None:
        """Return None."""
        return None


@dataclass(frozen=True, slots=True)
class CuesOnly(NoAugmentation):
    """No hints, but the documents of an augmentation: those that the other members of the group read."""

    hints: Hints

    def shown(self, tool: ToolDocument) -> ToolDocument:
        """Return the document as the augmentation shows it."""
        return self.hints.shown(tool)
