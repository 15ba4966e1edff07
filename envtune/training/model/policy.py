"""The trained language model and its frozen reference: log-probs and entropies of sampled tokens.

The shared prompt of a group is computed once. The [T, V] logits are never materialised, and only positions that predict
a sampled token are projected.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Float32
from torch import Tensor, nn
from torch.distributed.device_mesh import DeviceMesh
from torch.distributed.fsdp import register_fsdp_forward_method
from transformers import PreTrainedModel
from typing_extensions import override

from envtune.errors import UserError
from envtune.grpo.batch import TrainBatch
from envtune.grpo.packing import pack
from envtune.training.model.adapter_checkpoint import register_state_hooks
from envtune.training.model.lora import adapter_of, reference_weights
from envtune.training.model.projection import project
from envtune.training.model.prompt_attention import share_prompts
from envtune.training.model.sharding import SamplingCopy, reset_after_forward, shard_model


@dataclass(frozen=True, slots=True, eq=False)
class TokenStatistics:
    """Statistics of the sampled tokens in nats, at the batch's temperature."""

    logprobs: Float32[Tensor, "T"]
    """Of each token given those before it in its trajectory."""
    entropy: Float32[Tensor, "T"]
    """Entropy of the distribution from which the token was sampled."""


class Policy(nn.Module):
    """The trained ``model``, and as the reference its weights at construction (paper, section 3.2).

    If all weights are trained, the reference is a frozen copy, which moves with the module but is not among its
    parameters. If an adapter is trained (`lora.add_adapter`), it is the model without the adapter or with the reference
    adapter (`lora.add_reference_adapter`). The ``state_dict`` holds only trained weights.
    """

    def __init__(self, model: PreTrainedModel) -> None:
        super().__init__()
        _require_causal_linear_head(model)
        _disable_dropout(model)
        # Training mode, because transformers skips gradient checkpointing in evaluation mode; dropout is disabled.
        self.model = model.train()
        share_prompts(self.model)
        register_state_hooks(self, model)
        self._trains_adapter = adapter_of(model) is not None
        # A list hides the reference from nn.Module; `_apply` moves it.
        self._copies = [] if self._trains_adapter else [_Reference(copy.deepcopy(model).requires_grad_(False).eval())]
        self._sampled: SamplingCopy | None = None

    @property
    def reference(self) -> PreTrainedModel:
        """The frozen copy. A policy with an adapter does not have one."""
        return self._copies[0].model

    def forward(self, batch: TrainBatch) -> TokenStatistics:
        """Return the statistics of the trained model, with gradient."""
        return token_statistics(self.model, batch)

    @torch.no_grad()
    def reference_logprobs(self, batch: TrainBatch) -> Float32[Tensor, "T"]:
        """Return log-probs of the frozen reference, without gradient."""
        if self._trains_adapter:
            with reference_weights(self.model):
                return token_statistics(self.model, batch).logprobs
        return self._copies[0](batch).logprobs

    @property
    def is_sharded(self) -> bool:
        """Whether ``shard`` was called."""
        return self._sampled is not None

    def shard(self, mesh: DeviceMesh, dtype: torch.dtype | None) -> None:
        """Shard trained and reference model over the devices of ``mesh``; forward passes are collectives from then on.

        ``dtype`` is that of the layers' arithmetic and of the sampling copy; None keeps that of the weights.
        """
        self._sampled = SamplingCopy(self.model, torch.device(mesh.device_type), dtype)
        shard_model(self, self.model, mesh, dtype)
        # With an adapter the reference is the trained model, so its passes must gather the weights as well.
        if self._trains_adapter:
            register_fsdp_forward_method(self, "reference_logprobs")
        for reference in self._copies:
            shard_model(reference, reference.model, mesh, dtype)
            reset_after_forward(reference)

    def model_to_sample(self) -> PreTrainedModel:
        """Return the trained model; if it is sharded, a full copy with the current weights. A collective."""
        return self._sampled.updated() if self._sampled else self.model

    @override
    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Policy:
        for reference in self._copies:
            reference._apply(fn, recurse)
        return super()._apply(fn, recurse)


class _Reference(nn.Module):
    """A module around the reference, so that FSDP gathers a sharded ``model`` for its forward pass."""

    def __init__(self, model: PreTrainedModel) -> None:
        super().__init__()
        self.model = model

    def forward(self, batch: TrainBatch) -> TokenStatistics:
        return token_statistics(self.model, batch)


def token_statistics(model: PreTrainedModel, batch: TrainBatch, logits_per_chunk: int | None = None) -> TokenStatistics:
    """Return the statistics of sampled tokens under ``model``; the backward pass recomputes logits chunk by chunk."""
    packed = pack(batch.ids, batch.lengths, batch.prompts, batch.prompt_lengths, batch.sampled)
    hidden = model.get_decoder()(
        input_ids=packed.ids[None], position_ids=packed.positions[None], use_cache=False, branches=packed.branches
    ).last_hidden_state[0]
    states, targets = hidden[packed.predictors], batch.ids[batch.sampled]
    head = model.get_output_embeddings()
    return TokenStatistics(*project(head, states, targets, batch.temperature, logits_per_chunk))


@torch.no_grad()
def _require_causal_linear_head(model: PreTrainedModel) -> None:
    """Raise UserError unless logits are causal and a linear projection of the hidden states, tested on a few tokens."""
    vocabulary = model.config.get_text_config().vocab_size
    ids = (torch.arange(8, device=model.device) * 7919 + 1)[None] % vocabulary
    training = model.training
    model.eval()
    own = model(input_ids=ids, use_cache=False).logits
    projected = model.get_output_embeddings()(model.get_decoder()(input_ids=ids, use_cache=False).last_hidden_state)
    altered = ids.clone()
    altered[:, -1] = (altered[:, -1] + 1) % vocabulary
    other = model(input_ids=altered, use_cache=False).logits
    model.train(training)
    name = type(model).__name__
    if not own.isfinite().all():
        raise UserError(
            f"the logits of {name} are NaN or infinite: its weights are damaged or overflow {model.dtype}; give "
            "another model.path or init_from, or use model.dtype=float32"
        )
    if not isinstance(model.get_output_embeddings(), nn.Linear):
        raise UserError(
            f"{name} has an output embedding that is not a linear layer; choose a model such as Qwen or Llama"
        )
    if not torch.allclose(own, projected, rtol=0.0, atol=1e-6 * float(own.abs().max())):
        raise UserError(
            f"{name} changes its logits after the output embedding (soft cap or scaling), which the chunked log-probs "
            "do not reproduce; choose a model without that, such as Qwen or Llama"
        )
    if not torch.allclose(own[:, :-1], other[:, :-1], rtol=0.0, atol=1e-2 * float(own.abs().max())):
        raise UserError(f"{name} lets a token see later ones; choose a causal language model")


def _disable_dropout(model: nn.Module) -> None:
    """Disable dropout: sampling runs without it, and the ratio to its log-probs must be 1 before the first update."""
    for module in model.modules():
        if isinstance(module, nn.Dropout):
            module.p = 0.0
        if isinstance(getattr(module, "attention_dropout", None), float):
            module.attention_dropout = 0.0  # type: ignore[assignment]
