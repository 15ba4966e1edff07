"""A limit on the contents of an episode's worlds, so that tools that read them stay fast after many calls.

A call adds at most its arguments and a small record to a world. The sum of these is a cheap upper bound; the worlds are
measured only when it reaches the limit. The file tree has its own limit (``tree.py``).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from envtune.environment.limits import LimitExceeded
from envtune.environment.limits.size import Size, measure

MAX_WORLD_CHARACTERS = 300_000
MAX_WORLD_VALUES = 6_000
# The size of a booking's record, the largest that a call adds besides its arguments.
RECORD_CHARACTERS = 500
RECORD_VALUES = 30


class WorldGrowth:
    """The upper bound on what the calls of an episode have added to its worlds."""

    def __init__(self, worlds: Mapping[str, Any]) -> None:
        self._worlds = worlds
        self._characters = self._values = 0
        self._full = False

    def admit(self, arguments: Size) -> None:
        """Add a call with arguments of this size, before it runs.

        Raises:
            LimitExceeded: the worlds are beyond the limit; every later call is refused as well.
        """
        self._add(arguments)
        if self._over:
            self._measure()
            self._add(arguments)

    def _add(self, arguments: Size) -> None:
        self._characters += arguments.characters + RECORD_CHARACTERS
        self._values += arguments.values + RECORD_VALUES

    @property
    def _over(self) -> bool:
        return self._characters > MAX_WORLD_CHARACTERS or self._values > MAX_WORLD_VALUES

    def _measure(self) -> None:
        if not self._full:
            self._characters, self._values = measure(vars(world) for world in self._worlds.values())
            self._full = self._over
        if self._full:
            raise LimitExceeded(
                f"earlier calls have filled the world; {MAX_WORLD_CHARACTERS} characters and {MAX_WORLD_VALUES} values "
                "are allowed"
            )
