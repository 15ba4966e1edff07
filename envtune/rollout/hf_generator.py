"""Samples with the live transformers model: any device, many requests decoded together, prefixes fed once.

Keys and values are shared twice: equal prompts of one call are fed once, and a request that begins like a row of the
call before (an episode's next step) is fed only what is new. Sliding-window and linear attention are not supported.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

import numpy as np
import torch
from transformers import PreTrainedModel
from transformers.cache_utils import get_layer_types_and_kwargs

from envtune.errors import UserError
from envtune.rollout.generator import Completion, Request
from envtune.rollout.kv_attention import ATTENTION
from envtune.rollout.kv_rows import Feed, KvRows, PrefixIndex
from envtune.rollout.prefill import prefill
from envtune.rollout.sampling import choose


@dataclass(slots=True)
class _Row:
    """A request being decoded: the slot of the caller's list, its noise and what was sampled so far."""

    index: int
    request: Request
    noise: np.ndarray
    ids: list[int] = field(default_factory=list)
    logprobs: list[float] = field(default_factory=list)
    ended: bool = False

    @property
    def last(self) -> int:
        return self.ids[-1] if self.ids else self.request.ids[-1]

    @property
    def next_noise(self) -> float:
        return self.noise[len(self.ids)]

    @property
    def finished(self) -> bool:
        return self.ended or len(self.ids) == self.request.max_new_tokens

    def append(self, token: int, logprob: float, model_stop_ids: frozenset[int]) -> None:
        self.ids.append(token)
        self.logprobs.append(logprob)
        self.ended = token in model_stop_ids or token in self.request.end_ids


class HFGenerator:
    """The embedded ``Generator``. Call ``update_weights`` first, and after every change of the weights.

    A token is the inverse of the distribution function at a uniform number from the request's own seed, so an episode
    does not depend on what is sampled beside it (up to the rounding of a larger matrix product). Log-probs are those
    of the whole vocabulary at ``temperature``, before ``top_p`` cuts it, as the trainer recomputes them.

    Args:
        max_batch_size: rows decoded together.
        max_cache_tokens: slots of keys and values of the rows being decoded, and again of those kept between two calls.
            A single request may exceed it.
    """

    def __init__(
        self,
        temperature: float = 1.0,
        top_p: float = 1.0,
        max_batch_size: int = 64,
        max_cache_tokens: int = 262_144,
    ) -> None:
        if not temperature > 0:
            raise UserError(f"temperature={temperature} is not above 0; for the likeliest tokens, generate greedily")
        if not 0 < top_p <= 1:
            raise UserError(f"top_p={top_p} is not in (0, 1]; 1 samples from the whole vocabulary")
        if max_batch_size < 1:
            raise UserError(f"max_batch_size={max_batch_size} is below 1; give the number of rows to decode together")
        self.temperature = temperature
        self.top_p = top_p
        self.policy_version = -1
        self._max_batch_size = max_batch_size
        self._max_cache_tokens = max_cache_tokens
        self._model: PreTrainedModel | None = None
        self._stop_ids: frozenset[int] = frozenset()
        self._kept: list[KvRows] = []

    def update_weights(self, model: PreTrainedModel, policy_version: int) -> None:
        """Shares ``model`` itself, without a copy, and forgets all keys and values of the weights before."""
        if model is not self._model:
            _require_fitting_attention(model)
        self._model = model
        self._stop_ids = _stop_ids(model)
        self._kept = []
        self.policy_version = policy_version

    def generate(self, requests: Sequence[Request], greedy: bool = False) -> list[Completion]:
        if self._model is None:
            raise RuntimeError("the generator has no weights; call update_weights first")
        completions: dict[int, Completion] = {}
        kept: list[KvRows] = []
        index = PrefixIndex(self._kept)
        with _sampling_mode(self._model):
            for batch in self._batches(requests):
                prompts = [row.request.ids for row in batch]
                rows, order = prefill(self._model, prompts, [row.request.max_new_tokens for row in batch], index)
                for row in self._decode(self._model, rows, [batch[place] for place in order], greedy):
                    completions[row.index] = Completion(tuple(row.ids), tuple(row.logprobs), row.ended)
                if sum(held.slots for held in (*kept, rows)) <= self._max_cache_tokens:
                    kept.append(rows)
        self._kept = kept
        return [completions[index] for index in range(len(requests))]

    def _batches(self, requests: Sequence[Request]) -> Iterator[list[_Row]]:
        batch: list[_Row] = []
        longest = 0
        for index, request in enumerate(requests):
            length = max(longest, len(request.ids) + request.max_new_tokens)
            full = len(batch) == self._max_batch_size or (len(batch) + 1) * length > self._max_cache_tokens
            if batch and full:
                yield batch
                batch, length = [], len(request.ids) + request.max_new_tokens
            noise = np.random.default_rng(request.seed).random(request.max_new_tokens)
            batch.append(_Row(index, request, noise))
            longest = length
        if batch:
            yield batch

    def _decode(self, model: PreTrainedModel, rows: KvRows, active: list[_Row], greedy: bool) -> Iterator[_Row]:
        """Samples until every row has finished, yielding each as it does."""
        while active:
            logits = model(**rows.feed(Feed(0, tuple((row.last,) for row in active)))).logits[:, -1]
            noise = None if greedy else torch.tensor([row.next_noise for row in active], dtype=torch.float64)
            ids, logprobs = choose(logits, noise, self.temperature, self.top_p)
            for row, token, logprob in zip(active, ids.tolist(), logprobs.tolist(), strict=True):
                row.append(token, logprob, self._stop_ids)
            yield from _take_finished(rows, active)


def _take_finished(rows: KvRows, active: list[_Row]) -> Iterator[_Row]:
    """Moves finished rows behind the active ones, so that those stay one slice of the buffers."""
    for place in reversed(range(len(active))):
        if active[place].finished:
            if place < len(active) - 1:
                rows.swap(place, len(active) - 1)
                active[place], active[-1] = active[-1], active[place]
            yield active.pop()


@contextmanager
def _sampling_mode(model: PreTrainedModel) -> Iterator[None]:
    """No gradient, evaluation mode and the attention of ``KvRows``; the model is left as it was found."""
    training, attention = model.training, model.config._attn_implementation
    model.eval()
    model.set_attn_implementation(ATTENTION)
    try:
        # Without autocast: the cache holds keys in the dtype of the weights.
        with torch.no_grad(), torch.autocast(model.device.type, enabled=False):
            yield
    finally:
        model.set_attn_implementation(attention)
        model.train(training)


def _stop_ids(model: PreTrainedModel) -> frozenset[int]:
    """Every end token of the model: its generation config may name one, several or none."""
    generation = getattr(model, "generation_config", None)
    ids = getattr(generation, "eos_token_id", None)
    if ids is None:
        ids = model.config.get_text_config().eos_token_id
    return frozenset([ids] if isinstance(ids, int) else ids or ())


def _require_fitting_attention(model: PreTrainedModel) -> None:
    kinds, _ = get_layer_types_and_kwargs(model.config.get_text_config(decoder=True))
    others = sorted(set(kinds) - {"full_attention"})
    if others:
        raise UserError(
            f"{type(model).__name__} has layers of {', '.join(others)}, but the embedded generator samples only models "
            "with full attention in every layer; choose such a model or the vLLM generator"
        )
    if not model._supports_attention_backend:
        raise UserError(
            f"{type(model).__name__} does not take its attention from transformers' AttentionInterface, which the "
            "embedded generator needs; choose a model such as Qwen or Llama, or the vLLM generator"
        )
