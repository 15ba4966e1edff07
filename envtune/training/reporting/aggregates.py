"""Named aggregates of samples since their last reset, reduced over all ranks by torchmetrics."""

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
    """The mean of every name, except for the minimum or maximum of the names given as such."""

    def __init__(self, minima: frozenset[str] = frozenset(), maxima: frozenset[str] = frozenset()) -> None:
        self._minima, self._maxima = minima, maxima
        self._metrics: dict[str, Metric] = {}

    # Not in the inference mode of Lightning's validation, because sums made there could not be added to in training.
    @torch.inference_mode(False)
    def add(self, samples: Samples) -> None:
        """Add every sample to the aggregate of its name."""
        for name, values in samples.items():
            if values:
                self._metric(name).update(torch.tensor(list(values), dtype=torch.float32))

    @torch.inference_mode(False)
    def pop(self) -> dict[str, float]:
        """Return the finite aggregates over all ranks, by name, and reset them. A collective."""
        for name in set().union(*gather(set(self._metrics))):
            self._metric(name)
        with warnings.catch_warnings():
            # A rank without samples of a name computes it as well, because computing is a collective.
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


def _collective_device() -> torch.device:
    """Return the device of a reduction over ranks: NCCL reduces only GPU tensors."""
    if distributed.is_available() and distributed.is_initialized() and distributed.get_backend() == "nccl":
        return torch.device("cuda", torch.cuda.current_device())
    return torch.device("cpu")
