"""The weights of a model as other programs load them, adapters added in."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from transformers import PreTrainedModel

from envtune.rollout.weight_sums import sums_by_layer, weight_sum


@torch.no_grad()
def merged_weights(model: PreTrainedModel, dtype: torch.dtype) -> Iterator[tuple[str, Tensor]]:
    """All weights of ``model``, one by one, by the names that it has without an adapter, where the model is.

    An adapter of peft is added to its layer's weight in float32, before that is rounded to ``dtype``.
    """
    adapted: dict[str, Any] = {
        f"{name}.weight": layer for name, layer in model.named_modules() if hasattr(layer, "get_delta_weight")
    }
    for name, tensor in model.state_dict().items():
        if ".lora_" in name:
            continue
        plain = name.replace(".base_layer.", ".")
        if plain in adapted:
            layer = adapted[plain]
            for adapter in layer.active_adapters:
                tensor = tensor.float() + layer.get_delta_weight(adapter).float()
        yield plain, tensor.to(dtype) if tensor.is_floating_point() else tensor


def write_merged_weights(model: PreTrainedModel, dtype: torch.dtype, folder: Path | None) -> dict[str, int]:
    """Writes config and ``merged_weights``, which vLLM and transformers load, and returns the weights' sums by layer.

    Without ``folder``, only their sums: of several processes one writes.
    """
    # A tensor that stands in several places is one weight.
    parameters = {name.replace(".base_layer.", ".") for name, _ in model.named_parameters()}
    sums, written = [], {}
    for name, tensor in merged_weights(model, dtype):
        if name in parameters:
            sums.append((name, weight_sum(tensor, dtype)))
        if folder is not None:
            written[name] = tensor.cpu()
    if folder is not None:
        model.save_pretrained(folder, state_dict=written)
    return sums_by_layer(sums)
