"""Sampling with the model's own attention and cache, by transformers' `generate`, for models without a faster way.

Completions are sampled in batches, and the environment goes on when those of a batch are complete. Every request is fed
from its beginning, because the library's caches cannot, in general, be taken apart into rows.
"""

from __future__ import annotations

import inspect
import time
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from transformers import GenerationConfig, LogitsProcessor, PreTrainedModel, StoppingCriteria
from typing_extensions import override

from envtune.rollout.generator import Advance, Request
from envtune.rollout.hf.running_batch import BatchLimits, TokenSequence
from envtune.rollout.hf.sampling import Sampling


class PlainRows:
    """Plays token sequences with ``model``, whose own attention must be installed.

    Args:
        stop_ids: token ids that end every completion.
        padded: whether requests of different lengths are sampled together, padded on the left.
    """

    def __init__(
        self,
        model: PreTrainedModel,
        sampling: Sampling,
        limits: BatchLimits,
        stop_ids: frozenset[int],
        padded: bool,
    ) -> None:
        self.fed_tokens = 0
        """Tokens that went through the model, without padding."""
        self.waiting_seconds = 0.0
        """Time in ``advance``, in seconds."""
        self._model, self._sampling, self._limits, self._stop_ids = model, sampling, limits, stop_ids
        self._padded = padded
        self._window = getattr(model.config.get_text_config(decoder=True), "max_position_embeddings", None)

    def run(self, first: Sequence[Request], advance: Advance) -> None:
        """Sample sequences until all have ended; the arguments are those of `Generator.run`."""
        waiting = deque(TokenSequence(number, request) for number, request in enumerate(first))
        while waiting:
            batch = self._next_batch(waiting)
            self._complete(batch)
            started = time.perf_counter()
            for sequence in batch:
                following = advance(sequence.number, sequence.completion)
                if following is not None:
                    sequence.begin(following)
                    waiting.append(sequence)
            self.waiting_seconds += time.perf_counter() - started

    def _next_batch(self, waiting: deque[TokenSequence]) -> list[TokenSequence]:
        """Remove the first sequence, and those of the others that fit into a batch with it, in their order."""
        batch = [waiting.popleft()]
        for sequence in list(waiting):
            if self._fits([*batch, sequence]):
                batch.append(sequence)
                waiting.remove(sequence)
        return batch

    def _fits(self, batch: Sequence[TokenSequence]) -> bool:
        lengths = [len(sequence.request.ids) for sequence in batch]
        # A row goes on behind its end until the others have ended.
        longest = max(lengths) + max(sequence.request.max_new_tokens for sequence in batch)
        return (
            (self._padded or len(set(lengths)) == 1)
            and len(batch) <= self._limits.max_sequences
            and len(batch) * longest <= self._limits.max_cache_tokens
            and (self._window is None or longest <= self._window)
        )

    def _complete(self, batch: Sequence[TokenSequence]) -> None:
        rows = [sequence.request.ids for sequence in batch]
        longest = max(map(len, rows))
        device = self._model.device
        ids = torch.tensor([(row[0],) * (longest - len(row)) + row for row in rows], device=device)
        held = torch.tensor([[0] * (longest - len(row)) + [1] * len(row) for row in rows], device=device)
        settings = GenerationConfig(
            do_sample=False, max_new_tokens=max(s.request.max_new_tokens for s in batch), pad_token_id=0
        )
        # Some recurrent models have no mask.
        masked = {"attention_mask": held} if "attention_mask" in _parameters(self._model) else {}
        steps = _Steps(batch, self._sampling, self._stop_ids)
        with _without_own_settings(self._model):
            self._model.generate(  # type: ignore[operator]
                ids, generation_config=settings, logits_processor=[steps], stopping_criteria=[_Ends(batch)], **masked
            )
        self.fed_tokens += sum(len(s.request.ids) + len(s.completion.ids) - 1 for s in batch)


class _Steps(LogitsProcessor):
    """Chooses the next token of every unfinished sequence by its request's seed, and permits only that one."""

    def __init__(self, batch: Sequence[TokenSequence], sampling: Sampling, stop_ids: frozenset[int]) -> None:
        self._batch, self._sampling, self._stop_ids = batch, sampling, stop_ids

    @override
    def __call__(
        self, input_ids: Int[Tensor, "row token"], scores: Float[Tensor, "row vocabulary"]
    ) -> Float[Tensor, "row vocabulary"]:
        going_on = [row for row, sequence in enumerate(self._batch) if not sequence.finished]
        tokens = [0] * len(self._batch)
        if going_on:
            uniforms = [self._batch[row].next_uniform for row in going_on]
            for row, token, logprob in zip(going_on, *self._sampling.choose(scores[going_on], uniforms), strict=True):
                self._batch[row].append(token, logprob, self._stop_ids)
                tokens[row] = token
        only = torch.full_like(scores, -torch.inf)
        return only.scatter_(1, torch.tensor(tokens, device=scores.device)[:, None], 0.0)


class _Ends(StoppingCriteria):
    """Tells `generate` which rows are finished."""

    def __init__(self, batch: Sequence[TokenSequence]) -> None:
        self._batch = batch

    @override
    def __call__(self, input_ids: Int[Tensor, "row token"], scores: Any, **_: Any) -> Bool[Tensor, "row"]:
        return torch.tensor([sequence.finished for sequence in self._batch], device=input_ids.device)


@contextmanager
def _without_own_settings(model: PreTrainedModel) -> Iterator[None]:
    """Hide the model's generation config, whose penalties and bans `generate` would add to the given settings."""
    own = model.generation_config
    model.generation_config = GenerationConfig()
    try:
        yield
    finally:
        model.generation_config = own


def _parameters(model: PreTrainedModel) -> frozenset[str]:
    return frozenset(inspect.signature(model.forward).parameters)
