"""The weights of a model as a folder that other programs load, adapters added in."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from transformers import PreTrainedModel


@torch.no_grad()
def plain_weights(model: PreTrainedModel, dtype: torch.dtype) -> dict[str, Tensor]:
    """All weights of ``model``, by the names that it has without an adapter, on the CPU.

    An adapter of peft is added to its layer's weight in float32, before that is rounded to ``dtype``.
    """
    plain = {
        name.replace(".base_layer.", "."): tensor for name, tensor in model.state_dict().items() if ".lora_" not in name
    }
    for name, layer in model.named_modules():
        if hasattr(layer, "get_delta_weight"):
            adapted: Any = layer
            for adapter in adapted.active_adapters:
                delta = adapted.get_delta_weight(adapter).float()
                plain[f"{name}.weight"] = plain[f"{name}.weight"].float() + delta
    return {name: tensor.to("cpu", dtype) if tensor.is_floating_point() else tensor for name, tensor in plain.items()}


def write_plain_weights(model: PreTrainedModel, dtype: torch.dtype, folder: Path) -> None:
    """Writes a folder with the config and ``plain_weights``, which vLLM and transformers load."""
    model.save_pretrained(folder, state_dict=plain_weights(model, dtype))
