"""Weights divided over all devices (FSDP, Zhao et al., https://arxiv.org/abs/2304.11277), by torch's `fully_shard`.

Every device holds a slice of each weight, of its gradient and of the optimiser's states. Before a layer computes, all
devices together gather its weights, and give them back after it. So all must make the same passes, which sampling does
not: episodes differ in length. It goes by a whole copy on each device.
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


def divide(root: nn.Module, model: PreTrainedModel, mesh: DeviceMesh, dtype: torch.dtype | None) -> None:
    """Divides the weights of ``model`` over ``mesh``; a forward pass of ``root``, which holds it, gathers them.

    The layers are gathered and computed in ``dtype``, or in the dtype of their weights; gradients are added up over
    the devices in float32. Embeddings and projection keep their dtype, for small steps of many tokens meet in them.

    Raises:
        UserError: the layers are not known.
    """
    layers = [module for module in model.modules() if isinstance(module, GradientCheckpointingLayer)]
    if not layers:
        raise UserError(
            f"{type(model).__name__} has no decoder layers of transformers' own, one by one of which trainer=fsdp "
            "divides a model; choose a model such as Qwen or Llama, or trainer=ddp"
        )
    for layer in layers:
        fully_shard(layer, mesh=mesh, mp_policy=MixedPrecisionPolicy(param_dtype=dtype, reduce_dtype=torch.float32))
    fully_shard(root, mesh=mesh, mp_policy=MixedPrecisionPolicy(reduce_dtype=torch.float32))


def forget_passes(root: Any) -> None:
    """Makes ``root``, whose weights are frozen, forget every pass: it notes them for a backward pass to come."""
    root.register_forward_hook(lambda *_: root.reset_iter_state())


class SamplingCopy:
    """A whole copy of ``model`` on ``device``, made before that is divided; in ``dtype``, or in that of the weights."""

    def __init__(self, model: PreTrainedModel, device: torch.device, dtype: torch.dtype | None) -> None:
        self._divided = model
        copies: dict[int, Any] = {
            id(weight): nn.Parameter(weight.detach().to(device, dtype, copy=True), requires_grad=False)
            for weight in model.parameters()
        }
        sampled: Any = copy.deepcopy(model, copies)
        self._whole: PreTrainedModel = sampled.to(device)

    @torch.no_grad()
    def updated(self) -> PreTrainedModel:
        """The copy, with the weights as they are now. All devices must call this together."""
        for name, weight in self._divided.named_parameters():
            if weight.requires_grad:
                own = self._whole.get_parameter(name)
                own.copy_(whole(weight.to(own.dtype)))
        return self._whole


def whole(tensor: Tensor) -> Tensor:
    """All of a tensor that may be divided. All devices must call this together."""
    return tensor.full_tensor() if isinstance(tensor, DTensor) else tensor


def placed_as(own: Any, tensor: Any) -> Any:
    """This device's part of ``tensor``, if it is whole and ``own`` is divided; otherwise what was given."""
    if not isinstance(own, DTensor) or isinstance(tensor, DTensor):
        return tensor
    # All devices have read the same, so that nothing is sent; a clone, or the part would keep the whole in memory.
    return distribute_tensor(tensor, own.device_mesh, own.placements, src_data_rank=None).clone()


def state_placed_as(own: Mapping[str, Any], state: Mapping[str, Any]) -> dict[str, Any]:
    """``state`` with every tensor divided as the one of its name in ``own``."""
    return {name: placed_as(own.get(name), tensor) for name, tensor in state.items()}
