"""Memory of a sharded model on each device beside its shard (envtune/training/model/sharding.py)."""

from __future__ import annotations

import copy
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel
from transformers.modeling_layers import GradientCheckpointingLayer


@dataclass(frozen=True, slots=True)
class ShardedMemory:
    """Sizes in bytes."""

    copy: int
    """The whole copy to sample from."""
    outside: int
    """All but the decoder layers, gathered from a forward pass to the end of its backward pass."""
    layers: int
    """The current layer and the next."""
    gradients: int
    """Gradients of ``outside`` and of a layer before they are sharded, and their float32 copy that is sent."""


def sharded_memory(model: PreTrainedModel, dtype: torch.dtype | None) -> ShardedMemory:
    """Return the memory of gathered weights. ``dtype`` is that of layers and copy; None for that of the weights."""
    layers = [list(m.parameters()) for m in model.modules() if isinstance(m, GradientCheckpointingLayer)]
    inside = {id(weight) for layer in layers for weight in layer}
    outside = [weight for weight in model.parameters() if id(weight) not in inside]
    largest = max(layers, key=lambda layer: _size(layer, dtype))
    return ShardedMemory(
        copy=_size(model.parameters(), dtype),
        outside=_size(outside, None),
        layers=2 * _size(largest, dtype),
        gradients=_gradients(outside, None) + _gradients(largest, dtype),
    )


def in_dtype(model: PreTrainedModel, dtype: torch.dtype) -> PreTrainedModel:
    """Return a copy of ``model``, which has fake weights, with weights in ``dtype``."""
    copies: dict[int, Any] = {id(buffer): torch.empty_like(buffer) for buffer in model.buffers()}
    for weight in model.parameters():
        copies[id(weight)] = nn.Parameter(torch.empty(weight.shape, dtype=dtype), weight.requires_grad)
    return copy.deepcopy(model, copies)


def _size(weights: Iterable[Tensor], dtype: torch.dtype | None) -> int:
    return sum(weight.numel() * (dtype or weight.dtype).itemsize for weight in weights)


def _gradients(weights: Iterable[Tensor], dtype: torch.dtype | None) -> int:
    trained = [weight for weight in weights if weight.requires_grad]
    return _size(trained, dtype) + _size(trained, torch.float32)
