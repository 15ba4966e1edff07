"""Data-parallel gradients, equal to those of a single process on the groups of all ranks."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager

import torch
from lightning.pytorch.strategies import DDPStrategy, Strategy
from torch import nn

from envtune.processes.collectives import gather


@contextmanager
def averaged_gradients(strategy: Strategy, parameters: Iterable[nn.Parameter]) -> Iterator[None]:
    """Accumulate gradients locally within the block, and average them over all ranks at its end.

    DDP itself averages in each backward pass, where a rank with one micro-batch more would deadlock. Does nothing
    without DDP.
    """
    if not isinstance(strategy, DDPStrategy):
        yield
        return
    with strategy.block_backward_sync():
        yield
    for parameter in parameters:
        if parameter.requires_grad:
            gradient = torch.zeros_like(parameter) if parameter.grad is None else parameter.grad
            parameter.grad = strategy.reduce(gradient, reduce_op="mean")


def share_of_mean(count: int) -> float:
    """Return ``count`` divided by its mean over ranks. A collective.

    A mean over ``count`` items times this factor, averaged over ranks, is the mean over the items of all ranks. Without
    it the tokens of a rank that sampled few would weigh more.
    """
    counts = gather(count)
    return count * len(counts) / max(1, sum(counts))
