"""Seconds of the named phases of one update, measured without GPU synchronisation in between."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch


class PhaseClock:
    """A clock of phases, which may be nested and repeated; the seconds of each name are summed.

    A GPU runs asynchronously, so there phases are measured by CUDA events in its queue, and only ``seconds``
    synchronises. Elsewhere ``now`` is called, in seconds.
    """

    def __init__(self, device: torch.device, now: Callable[[], float] = time.perf_counter) -> None:
        self._cuda = device.type == "cuda"
        self._now = now
        self._spans: list[tuple[str, Any, Any]] = []

    @contextmanager
    def phase(self, name: str) -> Iterator[None]:
        """Count the block as ``name``, unless it raises."""
        start = self._mark()
        yield
        self._spans.append((name, start, self._mark()))

    def seconds(self) -> dict[str, float]:
        """Return the seconds of every phase that has ended. Synchronises the GPU."""
        if self._cuda:
            torch.cuda.synchronize()
        sums: dict[str, float] = defaultdict(float)
        for name, start, end in self._spans:
            # Milliseconds between two events.
            sums[name] += start.elapsed_time(end) / 1000 if self._cuda else end - start
        return dict(sums)

    def _mark(self) -> Any:
        """Return seconds, or an event of the GPU's queue."""
        if not self._cuda:
            return self._now()
        event = torch.cuda.Event(enable_timing=True)
        event.record()
        return event
