"""Limits on running and waiting requests; further ones are refused."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from envtune.serving.refusal import Refusal


class Gate:
    """A queue of at most ``running`` + ``waiting`` requests, of which ``running`` hold a slot.

    Use ``async with gate.admission()`` from a request's arrival on, and ``async with gate.slots`` while it runs.
    """

    def __init__(self, running: int, waiting: int) -> None:
        self.slots = asyncio.Semaphore(running)
        self._running, self._limit, self._admitted = running, running + waiting, 0

    @asynccontextmanager
    async def admission(self) -> AsyncIterator[None]:
        """Count a request as admitted inside the context.

        Raises:
            Refusal: the queue is full.
        """
        if self._admitted >= self._limit:
            raise Refusal(
                429,
                f"the queue is full with {self._admitted} requests, of which {self._running} run: try again later",
                code="queue_full",
            )
        self._admitted += 1
        try:
            yield
        finally:
            self._admitted -= 1
