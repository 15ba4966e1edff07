"""Mixed into vLLM's worker, in the engine's process: takes new weights and says which it has. Imported there by name.

What comes back has to pass through JSON, for the engine may be a server's.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn

from envtune.rollout.weight_sums import weight_sum

# Rows of the unit matrix that a packed layer is asked at once.
ROWS = 512


class WeightReceiver:
    """``reload_weights``, ``model_runner`` and ``model_config`` are the worker's."""

    reload_weights: Any
    model_runner: Any
    model_config: Any

    def receive_weights(self, folder: str) -> None:
        """Replaces all weights by those of the model in ``folder``.

        All of them, for vLLM fuses layers: a part would leave a mixture of old and new.
        """
        self.reload_weights(weights_path=folder)
        _pack_output_projection(self.model_runner.get_model())

    def weight_sums(self) -> dict[str, int]:
        """Of all weights as this worker computes with them, by vLLM's names, parts of fused ones apart."""
        model, dtype = self.model_runner.get_model(), self.model_config.dtype
        return {name: weight_sum(tensor, dtype) for name, tensor in _held_weights(model, dtype)}

    def describe_model(self) -> dict[str, Any]:
        """What a trainer has to have the same, and the longest sequence in tokens."""
        config = self.model_config.hf_text_config
        return {
            "model_type": config.model_type,
            "vocab_size": config.vocab_size,
            "hidden_size": config.hidden_size,
            "num_hidden_layers": config.num_hidden_layers,
            "dtype": str(self.model_config.dtype).removeprefix("torch."),
            "max_model_len": self.model_config.max_model_len,
        }


def _held_weights(model: nn.Module, dtype: torch.dtype) -> Iterator[tuple[str, Tensor]]:
    seen: set[int] = set()
    for module_name, module in model.named_modules():
        packed = _unpacked(module, dtype)
        for name, parameter in module.named_parameters(module_name, recurse=False):
            weight = packed if packed is not None and not parameter.numel() else parameter
            if packed is not None and name.endswith("weight") and not torch.equal(packed, weight):
                # A copy that the layer computes with counts as weights of its own if it is not one.
                yield f"{name} (packed)", packed
            if id(parameter) not in seen:
                seen.add(id(parameter))
                yield from _parts(name, weight, module)


def _parts(name: str, weight: Tensor, module: nn.Module) -> Iterator[tuple[str, Tensor]]:
    """Rows of q, k and v apart: of several workers, k and v may be copies where q is in parts."""
    sizes = getattr(module, "output_partition_sizes", [])
    if len(sizes) < 2 or sum(sizes) != weight.shape[0]:
        yield name, weight
    else:
        yield from ((f"{name}.{number}", part) for number, part in enumerate(weight.split(sizes)))


def _unpacked(module: Any, dtype: torch.dtype) -> Tensor | None:
    """[out, in]: on a CPU, vLLM packs a layer's weights and drops them. What the layer answers to unit vectors is what
    it multiplies with. None for a layer that computes with its parameters themselves.
    """
    if not hasattr(module, "cpu_linear"):
        return None
    width = module.embedding_dim if hasattr(module, "embedding_dim") else module.input_size_per_partition
    units = torch.eye(width, dtype=dtype).split(ROWS)
    return torch.cat([module.cpu_linear(rows, module.weight, None) for rows in units]).T


def _pack_output_projection(model: Any) -> None:
    """On a CPU, vLLM computes logits from a packed copy of the output embedding, which goes on being the old one where
    that is the input embedding too.
    """
    from vllm.model_executor.layers.utils import dispatch_cpu_unquantized_gemm
    from vllm.model_executor.layers.vocab_parallel_embedding import VocabParallelEmbedding

    for module in model.modules():
        if isinstance(module, VocabParallelEmbedding) and hasattr(module, "cpu_linear"):
            dispatch_cpu_unquantized_gemm(module, remove_weight=False)
