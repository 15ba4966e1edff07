"""Weights sharded over all devices (FSDP, Zhao et al., https://arxiv.org/abs/2304.11277), by torch's `fully_shard`.

Every device holds a shard of each weight, of its gradient and of the optimiser states. All devices gather the weights
of a layer for its pass, and free them after it, so all must make the same passes. Sampling cannot, because episodes
differ in length: it uses a full copy on each device.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.distributed.device_mesh import DeviceMesh
from torch.distributed.fsdp import MixedPrecisionPolicy, fully_shard
from torch.distributed.tensor import DTensor, distribute_tensor
from transformers import PreTrainedModel
from transformers.modeling_layers import GradientCheckpointingLayer

from envtune.errors import UserError


def shard_model(root: nn.Module, model: PreTrainedModel, mesh: DeviceMesh, dtype: torch.dtype | None) -> None:
    """Shard the weights of ``model`` over ``mesh``; a forward pass of ``root``, which holds it, gathers them.

    Layers are gathered and computed in ``dtype``, or in the dtype of their weights; gradients are reduced in float32.
    Embeddings and projection keep their dtype, because they accumulate small gradients of many tokens.

    Raises:
        UserError: the layers are unknown.
    """
    layers = [module for module in model.modules() if isinstance(module, GradientCheckpointingLayer)]
    if not layers:
        raise UserError(
            f"{type(model).__name__} does not have transformers' own decoder layers, by which trainer=fsdp shards a "
            "model; choose a model such as Qwen or Llama, or trainer=ddp"
        )
    for layer in layers:
        fully_shard(layer, mesh=mesh, mp_policy=MixedPrecisionPolicy(param_dtype=dtype, reduce_dtype=torch.float32))
    fully_shard(root, mesh=mesh, mp_policy=MixedPrecisionPolicy(reduce_dtype=torch.float32))


def reset_after_forward(root: Any) -> None:
    """Reset FSDP's state of a frozen ``root`` after every pass, because the backward pass that resets it never runs."""
    root.register_forward_hook(lambda *_: root.reset_iter_state())


class SamplingCopy:
    """A full copy of ``model`` on ``device``, made before it is sharded; in ``dtype``, or in that of the weights."""

    def __init__(self, model: PreTrainedModel, device: torch.device, dtype: torch.dtype | None) -> None:
        self._sharded = model
        copies: dict[int, Any] = {
            id(weight): nn.Parameter(weight.detach().to(device, dtype, copy=True), requires_grad=False)
            for weight in model.parameters()
        }
        sampled: Any = copy.deepcopy(model, copies)
        self._full: PreTrainedModel = sampled.to(device)

    @torch.no_grad()
    def updated(self) -> PreTrainedModel:
        """Return the copy with the current weights. A collective."""
        for name, weight in self._sharded.named_parameters():
            if weight.requires_grad:
                own = self._full.get_parameter(name)
                own.copy_(full_tensor(weight.to(own.dtype)))
        return self._full


def full_tensor(tensor: Tensor) -> Tensor:
    """Return the full tensor of one that may be sharded. A collective."""
    return tensor.full_tensor() if isinstance(tensor, DTensor) else tensor


def shard_like(own: Any, tensor: Any) -> Any:
    """Return this device's shard of a full ``tensor`` if ``own`` is sharded; otherwise ``tensor`` unchanged."""
    if not isinstance(own, DTensor) or isinstance(tensor, DTensor):
        return tensor
    # All devices have the same tensor, so nothing is sent. A clone, or the shard would keep the full tensor in memory.
    return distribute_tensor(tensor, own.device_mesh, own.placements, src_data_rank=None).clone()


def shard_state_like(own: Mapping[str, Any], state: Mapping[str, Any]) -> dict[str, Any]:
    """Return ``state`` with every tensor sharded like the one of its name in ``own``."""
    return {name: shard_like(own.get(name), tensor) for name, tensor in state.items()}
