"""Runs what follows completions (tool calls, observations) in one thread beside the decoding of the others.

What is handed over after one decoding step is awaited after the next, however long either takes: the order in which
chains come back depends on nothing but the completions.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType

from envtune.rollout.generator import Advance, Request
from envtune.rollout.running_batch import Seat


class Advances:
    """``advance`` in a thread of its own. ``waiting_seconds`` is the time for which ``exchange`` waited for it."""

    def __init__(self, advance: Advance) -> None:
        self.waiting_seconds = 0.0
        self._advance = advance
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="advance")
        self._running: Future[list[tuple[Seat, Request | None]]] | None = None

    def __enter__(self) -> Advances:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: object, trace: TracebackType | None) -> None:
        self._thread.shutdown(wait=True, cancel_futures=True)

    @property
    def busy(self) -> bool:
        """Something was handed over that was not taken back."""
        return self._running is not None

    def exchange(self, finished: Sequence[Seat]) -> list[tuple[Seat, Request | None]]:
        """Hands over finished chains, takes back those of the call before with the requests that follow.

        Raises:
            Exception: whatever ``advance`` raised.
        """
        before = self._running
        self._running = self._thread.submit(self._play, finished) if finished else None
        if before is None:
            return []
        started = time.perf_counter()
        returned = before.result()
        self.waiting_seconds += time.perf_counter() - started
        return returned

    def _play(self, finished: Sequence[Seat]) -> list[tuple[Seat, Request | None]]:
        return [(seat, self._advance(seat.chain.number, seat.chain.completion)) for seat in finished]
