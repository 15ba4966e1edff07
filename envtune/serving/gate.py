"""How many requests an endpoint answers at a time, and how many may wait; all others are refused at once."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from envtune.serving.refusal import Refusal


class Gate:
    """Has places for ``running`` and ``waiting`` requests, and seats for ``running`` of them.

    A request takes a place when it arrives, and a seat (``async with gate.seat``) when it can be answered.
    """

    def __init__(self, running: int, waiting: int) -> None:
        self.seat = asyncio.Semaphore(running)
        self._running, self._places, self._present = running, running + waiting, 0

    @asynccontextmanager
    async def place(self) -> AsyncIterator[None]:
        """Raises Refusal if all places are taken."""
        if self._present >= self._places:
            raise Refusal(
                429,
                f"{self._present} requests are here, of which {self._running} are answered at a time: try again later",
                code="queue_full",
            )
        self._present += 1
        try:
            yield
        finally:
            self._present -= 1
