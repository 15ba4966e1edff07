"""Adds up the seconds of the named phases of one update, without making a GPU wait in between."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeAlias

import torch

Mark: TypeAlias = float | torch.cuda.Event


class PhaseClock:
    """Phases may lie within each other and may come again; each name adds up on its own.

    A GPU works off what it was given later than the program runs. There a phase is measured by CUDA events, which lie
    in the GPU's own queue, and only ``seconds`` waits for it. Elsewhere ``now`` is read, in seconds.
    """

    def __init__(self, device: torch.device, now: Callable[[], float] = time.perf_counter) -> None:
        self._cuda = device.type == "cuda"
        self._now = now
        self._spans: list[tuple[str, Mark, Mark]] = []

    @contextmanager
    def phase(self, name: str) -> Iterator[None]:
        """What runs within counts as ``name``; nothing is counted if it raises."""
        start = self._mark()
        yield
        self._spans.append((name, start, self._mark()))

    def seconds(self) -> dict[str, float]:
        """The seconds of every phase that has ended. On a GPU, waits until it has done everything it was given."""
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
