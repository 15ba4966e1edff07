"""The initial state of a BFCL task."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Scenario:
    """The story of a task and the worlds it starts in (``Task.world``)."""

    number: int
    """The number of the story, which all four categories share."""
    toolboxes: tuple[str, ...]
    """The names of the tool classes involved."""
    initial_state: Mapping[str, Any]
    """The JSON that each tool class is loaded from, by its name."""
