"""A model's weights with adapters merged, as vLLM and transformers load them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from transformers import PreTrainedModel

from envtune.rollout.weight_sums import sums_by_layer, weight_sum


def plain_name(name: str) -> str:
    """Return the name that a layer or weight has in the model without adapters."""
    # peft's layers contain the adapted layer as base_layer; those around experts contain each other.
    return ".".join(part for part in name.split(".") if part != "base_layer")


@torch.no_grad()
def merged_weights(model: PreTrainedModel, dtype: torch.dtype) -> Iterator[tuple[str, Tensor]]:
    """Yield names and weights on the model's device, with the names of the model without adapters.

    PEFT adapters are added to the weights in float32, before the sum is rounded to ``dtype``.
    """
    adapted: dict[str, Any] = {
        f"{plain_name(name)}.{getattr(layer, 'parameter_name', 'weight')}": layer
        for name, layer in model.named_modules()
        if hasattr(layer, "get_delta_weight")
    }
    for name, tensor in model.state_dict().items():
        if ".lora_" in name:
            continue
        plain = plain_name(name)
        if plain in adapted:
            layer = adapted[plain]
            for adapter in layer.active_adapters:
                tensor = tensor.float() + layer.get_delta_weight(adapter).float()
        yield plain, tensor.to(dtype) if tensor.is_floating_point() else tensor


def write_merged_weights(model: PreTrainedModel, dtype: torch.dtype, folder: Path | None) -> dict[str, int]:
    """Write config and merged weights to a model folder, and return the checksum of each layer.

    Args:
        folder: None computes only the checksums, for all ranks but the one that writes.
    """
    # named_parameters lists tied weights once, state_dict under each name.
    parameters = {plain_name(name) for name, _ in model.named_parameters()}
    sums, written = [], {}
    for name, tensor in merged_weights(model, dtype):
        if name in parameters:
            sums.append((name, weight_sum(tensor, dtype)))
        if folder is not None:
            written[name] = tensor.cpu()
    if folder is not None:
        model.save_pretrained(folder, state_dict=written)
    return sums_by_layer(sums)
