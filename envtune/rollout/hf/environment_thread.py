"""Runs the environment (tool calls, observations) in a thread while other episodes are decoded.

Results of a submission after one decoding step are collected after the next one, however long either takes. The order
in which requests return to the batch therefore depends only on the completions, not on timing.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType

from envtune.rollout.generator import Advance, Request
from envtune.rollout.hf.running_batch import BatchSlot


class EnvironmentThread:
    """Calls ``advance`` in a thread of its own."""

    def __init__(self, advance: Advance) -> None:
        self.waiting_seconds = 0.0
        """Time for which ``submit`` waited for the environment, in seconds."""
        self._advance = advance
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="environment")
        self._running: Future[list[tuple[BatchSlot, Request | None]]] | None = None

    def __enter__(self) -> EnvironmentThread:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: object, trace: TracebackType | None) -> None:
        self._thread.shutdown(wait=True, cancel_futures=True)

    @property
    def busy(self) -> bool:
        """True if results of the last submission have not been collected."""
        return self._running is not None

    def submit(self, finished: Sequence[BatchSlot]) -> list[tuple[BatchSlot, Request | None]]:
        """Submit slots with a finished completion and collect the results of the previous submission.

        Returns:
            Each slot of the previous submission with the request that follows, None where its sequence ends.

        Raises:
            Exception: an error of ``advance`` in the previous submission.
        """

        def advance_all() -> list[tuple[BatchSlot, Request | None]]:
            return [(slot, self._advance(slot.sequence.number, slot.sequence.completion)) for slot in finished]

        previous = self._running
        self._running = self._thread.submit(advance_all) if finished else None
        if previous is None:
            return []
        started = time.perf_counter()
        results = previous.result()
        self.waiting_seconds += time.perf_counter() - started
        return results
