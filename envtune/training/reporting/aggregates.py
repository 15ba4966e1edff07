"""Named aggregates over everything added since they were last read, reduced over all ranks by torchmetrics."""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping, Sequence

import torch
from torch import distributed
from torchmetrics import MaxMetric, MeanMetric, Metric, MinMetric

from envtune.processes.collectives import gather

Samples = Mapping[str, Sequence[float]]


class Aggregates:
    """A mean for every name, but a minimum or maximum for the names given as such."""

    def __init__(self, minima: frozenset[str] = frozenset(), maxima: frozenset[str] = frozenset()) -> None:
        self._minima = minima
        self._maxima = maxima
        self._metrics: dict[str, Metric] = {}

    def add(self, samples: Samples) -> None:
        """Adds every sample to the aggregate of its name."""
        for name, values in samples.items():
            if values:
                self._metric(name).update(torch.tensor(list(values), dtype=torch.float32))

    def pop(self) -> dict[str, float]:
        """The aggregates by name, over all ranks, and a new start. All ranks must call this together."""
        for name in self._names_of_all_ranks():
            self._metric(name)
        with warnings.catch_warnings():
            # A rank without samples of a name computes it all the same, or the others would wait for it for ever.
            warnings.filterwarnings("ignore", message="The ``compute`` method of metric")
            values = {name: float(self._metric(name).compute()) for name in sorted(self._metrics)}
        for metric in self._metrics.values():
            metric.reset()
        return {name: value for name, value in values.items() if math.isfinite(value)}

    def _metric(self, name: str) -> Metric:
        if name not in self._metrics:
            kind = MinMetric if name in self._minima else MaxMetric if name in self._maxima else MeanMetric
            self._metrics[name] = kind().to(_collective_device())
        return self._metrics[name]

    def _names_of_all_ranks(self) -> set[str]:
        return set().union(*gather(set(self._metrics)))


def _collective_device() -> torch.device:
    """Where a reduction over ranks runs: NCCL, the backend of GPU jobs, reduces only what is on a GPU."""
    if distributed.is_available() and distributed.is_initialized() and distributed.get_backend() == "nccl":
        return torch.device("cuda", torch.cuda.current_device())
    return torch.device("cpu")
