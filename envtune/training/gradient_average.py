"""Gradients of several processes that work through different numbers of micro-batches."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager

import torch
from lightning.pytorch.strategies import DDPStrategy, Strategy
from torch import nn


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
