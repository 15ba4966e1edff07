"""Seconds of the named phases of one update, measured without GPU synchronisation in between."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeAlias

import torch

Mark: TypeAlias = float | torch.cuda.Event


class PhaseClock:
    """A clock of phases, which may be nested and repeated; the seconds of each name are summed.

    A GPU runs asynchronously, so there phases are measured by CUDA events in its queue, and only ``seconds``
    synchronises. Elsewhere ``now`` is called, in seconds.
    """

    def __init__(self, device: torch.device, now: Callable[[], float] = time.perf_counter) -> None:
        self._cuda = device.type == "cuda"
        self._now = now
        self._spans: list[tuple[str, Mark, Mark]] = []

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
            sums[name] += _between(start, end)
        return dict(sums)

    def _mark(self) -> Mark:
        if not self._cuda:
            return self._now()
        event = torch.cuda.Event(enable_timing=True)
        event.record()
        return event


def _between(start: Mark, end: Mark) -> float:
    if isinstance(start, torch.cuda.Event) and isinstance(end, torch.cuda.Event):
        return start.elapsed_time(end) / 1000
    assert isinstance(start, float)
    assert isinstance(end, float)
    return end - start
