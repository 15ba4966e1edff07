"""The forward pass of the update over a batch, by path and head, and the statistics of its sampled tokens.

Paths: `shared` packs the rows behind shared prompts (`prompt_attention.py`); `plain` pads rows on the right, which no
token of a causal model can see, so that the model's own attention needs no mask. Heads: `linear` projects hidden states
in chunks without keeping logits (`projection.py`); `own` lets the model compute the logits of a chunk of hidden states,
with all that it does behind its decoder (soft caps, scaling); `logits` takes those of the whole model, all at once.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal

import torch
from jaxtyping import Float, Float32, Int
from torch import Tensor
from torch.utils.checkpoint import checkpoint
from transformers import PreTrainedModel

from envtune.grpo.batch import TrainBatch
from envtune.grpo.packing import pack
from envtune.rollout.untouched import ModelPath
from envtune.training.model.projection import CPU_CHUNK, GPU_CHUNK, project

Head = Literal["linear", "own", "logits"]
Values = tuple[Float32[Tensor, "T"], Float32[Tensor, "T"]]


@dataclass(frozen=True, slots=True, eq=False)
class TokenStatistics:
    """Statistics of the sampled tokens in nats, at the batch's temperature."""

    logprobs: Float32[Tensor, "T"]
    """Of each token given those before it in its trajectory."""
    entropy: Float32[Tensor, "T"]
    """Entropy of the distribution from which the token was sampled."""


@dataclass(frozen=True, slots=True)
class UpdatePass:
    """How a model computes the statistics of a batch; the backward pass recomputes logits chunk by chunk."""

    path: ModelPath = "shared"
    head: Head = "linear"
    logits_per_chunk: int | None = None
    """Logits of `linear` and `own` that exist at one time; None chooses by device."""

    def statistics(self, model: PreTrainedModel, batch: TrainBatch) -> TokenStatistics:
        """Return the statistics of the sampled tokens of ``batch`` under ``model``."""
        targets, temperature = batch.ids[batch.sampled], batch.temperature
        if self.head == "logits":
            logits = model(input_ids=batch.padded()).logits[_predictors(batch)]
            return TokenStatistics(*_values(logits, targets, temperature))
        states, kind = self._states(model, batch)
        if self.head == "linear":
            head = model.get_output_embeddings()
            return TokenStatistics(*project(head, states, targets, temperature, self.logits_per_chunk))
        size = self.logits_per_chunk or (CPU_CHUNK if states.device.type == "cpu" else GPU_CHUNK)
        rows = max(1, size // model.config.get_text_config(decoder=True).vocab_size)
        parts = [
            checkpoint(_own_values, model, kind, chunk, of_chunk, temperature, use_reentrant=False)
            for chunk, of_chunk in zip(states.split(rows), targets.split(rows), strict=True)
        ]
        return TokenStatistics(*map(torch.cat, zip(*parts, strict=True)))

    def _states(self, model: PreTrainedModel, batch: TrainBatch) -> tuple[Float[Tensor, "T hidden"], Any]:
        """Return the hidden state that predicts each sampled token, and the class of the decoder's outputs."""
        decoder: Any = model.get_decoder()
        if self.path == "plain":
            outputs = decoder(input_ids=batch.padded(), use_cache=False)
            return outputs.last_hidden_state[_predictors(batch)], type(outputs)
        packed = pack(batch.ids, batch.lengths, batch.prompts, batch.prompt_lengths, batch.sampled)
        outputs = decoder(
            input_ids=packed.ids[None], position_ids=packed.positions[None], use_cache=False, branches=packed.branches
        )
        return outputs.last_hidden_state[0][packed.predictors], type(outputs)


def token_statistics(model: PreTrainedModel, batch: TrainBatch, logits_per_chunk: int | None = None) -> TokenStatistics:
    """Return the statistics of sampled tokens on the shared path, for a model whose attention is replaced."""
    return UpdatePass(logits_per_chunk=logits_per_chunk).statistics(model, batch)


def _predictors(batch: TrainBatch) -> tuple[Int[Tensor, "T"], Int[Tensor, "T"]]:
    """Return row and column, among the padded rows, of the token before each sampled one."""
    return batch.episodes, batch.sampled - batch.starts[batch.episodes] - 1


def _values(logits: Float[Tensor, "T vocabulary"], targets: Int[Tensor, "T"], temperature: float) -> Values:
    logprobs = (logits.float() / temperature).log_softmax(-1)
    entropy = -(logprobs.exp() * logprobs).sum(-1)
    return logprobs.gather(-1, targets[:, None])[:, 0], entropy


def _own_values(
    model: PreTrainedModel, kind: Any, states: Float[Tensor, "T hidden"], targets: Int[Tensor, "T"], heat: float
) -> Values:
    with _decoder_returns(model, kind(last_hidden_state=states[None])):
        logits = model(input_ids=targets[None]).logits[0]
    return _values(logits, targets, heat)


@contextmanager
def _decoder_returns(model: PreTrainedModel, outputs: Any) -> Iterator[None]:
    """Let the decoder return ``outputs`` instead of computing any, so that the model computes their logits."""
    decoder: Any = model.get_decoder()
    before = vars(decoder).get("forward")
    decoder.forward = lambda *_, **__: outputs
    try:
        yield
    finally:
        if before is None:
            del decoder.forward
        else:
            decoder.forward = before
