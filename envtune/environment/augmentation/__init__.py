"""Augmentation: at most one hint per result (Environment Tuning, arXiv 2510.10197, section 3.2), and cues in documents.

Tools, their state, verdicts and rewards do not depend on it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from envtune.environment.interface import Environment, World
    from envtune.task import Task, ToolDocument
    from envtune.trajectory import Hint, ToolResult


class Augmentation(Protocol):
    """The source of hints of a run."""

    def for_episode(self, environment: Environment, task: Task, seed: int) -> Hints:
        """Return the hints of one episode; random choices among them depend on ``seed`` alone."""
        ...


class Hints(Protocol):
    """The hints of one episode."""

    def shown(self, tool: ToolDocument) -> ToolDocument:
        """Return a tool's document as the agent reads it: the same object, or a copy with cues."""
        ...

    def hint(self, result: ToolResult, world: World) -> Hint | None:
        """Return a hint about a result, failed or not, or None. The world must not be changed."""
        ...
