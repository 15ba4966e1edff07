"""How many requests an endpoint works on at a time, and how many may wait; all others are refused at once."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from envtune.serving.refusal import Refusal


class Gate:
    """Lets ``running`` requests in at a time, in the order of their arrival, while at most ``waiting`` others wait."""

    def __init__(self, running: int, waiting: int) -> None:
        self._seats = asyncio.Semaphore(running)
        self._running, self._waiting, self._present = running, waiting, 0

    @asynccontextmanager
    async def entered(self) -> AsyncIterator[None]:
        """The time inside. Raises Refusal if too many wait already."""
        if self._present >= self._running + self._waiting:
            raise Refusal(
                429,
                f"{self._running} requests are being answered and {self._waiting} wait: try again later",
                code="queue_full",
            )
        self._present += 1
        try:
            async with self._seats:
                yield
        finally:
            self._present -= 1
