"""Mixed into vLLM's worker, in the engine's process: takes new weights. Imported there by its name."""

from __future__ import annotations

from typing import Any


class WeightReceiver:
    """``reload_weights`` and ``model_runner`` are the worker's."""

    reload_weights: Any
    model_runner: Any

    def receive_weights(self, folder: str) -> None:
        """Replaces all weights by those of the model in ``folder``.

        All of them, for vLLM fuses layers: a part would leave a mixture of old and new.
        """
        self.reload_weights(weights_path=folder)
        _pack_output_projection(self.model_runner.get_model())


def _pack_output_projection(model: Any) -> None:
    """On a CPU, vLLM computes logits from a packed copy of the output embedding, which goes on being the old one where
    that is the input embedding too.
    """
    from vllm.model_executor.layers.utils import dispatch_cpu_unquantized_gemm
    from vllm.model_executor.layers.vocab_parallel_embedding import VocabParallelEmbedding

    for module in model.modules():
        if isinstance(module, VocabParallelEmbedding) and hasattr(module, "cpu_linear"):
            dispatch_cpu_unquantized_gemm(module, remove_weight=False)
