"""A mixin of vLLM's worker that loads new weights and reports checksums. vLLM imports it by name in its own process.

Results must be JSON values, because a server sends them over HTTP.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn

from envtune.rollout.weight_sums import weight_sum

# Rows of the unit matrix per call of a packed layer.
ROWS = 512


class WeightReceiver:
    """Weight loading and checksums. ``reload_weights``, ``model_runner`` and ``model_config`` belong to the worker."""

    reload_weights: Any
    model_runner: Any
    model_config: Any

    def receive_weights(self, folder: str) -> None:
        """Replace all weights by those of the model in ``folder``.

        vLLM fuses layers, so loading only a part would mix old and new weights.
        """
        self.reload_weights(weights_path=folder)
        _pack_output_projection(self.model_runner.get_model())

    def weight_sums(self) -> dict[str, int]:
        """Return the checksums of the weights that this worker computes with, by vLLM's names, fused parts split."""
        model, dtype = self.model_runner.get_model(), self.model_config.dtype
        return {name: weight_sum(tensor, dtype) for name, tensor in _held_weights(model, dtype)}

    def describe_model(self) -> dict[str, Any]:
        """Return the model's shape and dtype, and the context length in tokens."""
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
                # The layer computes with a stale copy: add it, so that the sums differ.
                yield f"{name} (packed)", packed
            if id(parameter) not in seen:
                seen.add(id(parameter))
                yield from _parts(name, weight, module)


def _parts(name: str, weight: Tensor, module: nn.Module) -> Iterator[tuple[str, Tensor]]:
    """Split fused rows (q, k, v): tensor parallelism may replicate k and v and shard q."""
    sizes = getattr(module, "output_partition_sizes", [])
    if len(sizes) < 2 or sum(sizes) != weight.shape[0]:
        yield name, weight
    else:
        yield from ((f"{name}.{number}", part) for number, part in enumerate(weight.split(sizes)))


def _unpacked(module: Any, dtype: torch.dtype) -> Tensor | None:
    """Return the weights [out, in] of a packed layer, None for a layer that computes with its parameters.

    On a CPU, vLLM packs a layer's weights and drops the originals. The layer's outputs for unit vectors recover them.
    """
    if not hasattr(module, "cpu_linear"):
        return None
    width = module.embedding_dim if hasattr(module, "embedding_dim") else module.input_size_per_partition
    units = torch.eye(width, dtype=dtype).split(ROWS)
    return torch.cat([module.cpu_linear(rows, module.weight, None) for rows in units]).T


def _pack_output_projection(model: Any) -> None:
    """Renew the packed copy of the output embedding, which vLLM on a CPU leaves stale if the embeddings are tied."""
    from vllm.model_executor.layers.utils import dispatch_cpu_unquantized_gemm
    from vllm.model_executor.layers.vocab_parallel_embedding import VocabParallelEmbedding

    for module in model.modules():
        if isinstance(module, VocabParallelEmbedding) and hasattr(module, "cpu_linear"):
            dispatch_cpu_unquantized_gemm(module, remove_weight=False)
