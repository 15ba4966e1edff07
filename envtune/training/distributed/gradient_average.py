"""One update by several processes: the gradient that one process alone would get from the groups of all of them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager

import torch
from lightning.pytorch.strategies import DDPStrategy, Strategy
from torch import nn

from envtune.processes.collectives import gather


@contextmanager
def averaged_gradients(strategy: Strategy, parameters: Iterable[nn.Parameter]) -> Iterator[None]:
    """Backward passes within stay in their process; at the end every gradient becomes the mean over all processes.

    DDP itself averages in each backward pass: a process with one micro-batch more would wait for the others for ever.
    Without DDP nothing is changed.
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
    """What a process multiplies its mean over ``count`` items by, for the mean of the processes' results to be the mean
    over all items: ``count`` over the processes' mean count, so 1 where all have as many. All must call this together.

    Without it the tokens of a process that sampled few would weigh more than those of the others.
    """
    counts = gather(count)
    return count * len(counts) / max(1, sum(counts))
