"""Samples with the live transformers model: any device, many requests decoded together, prefixes fed once.

Keys and values are shared twice: equal prompts of one call are fed once, and a request that begins like a row of the
call before (an episode's next step) is fed only what is new. Sliding-window and linear attention are not supported.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from transformers import PreTrainedModel
from transformers.cache_utils import get_layer_types_and_kwargs

from envtune.rollout.generator import Completion, Request
from envtune.rollout.kv_rows import Feed, KvRows, Prefix, PrefixIndex
from envtune.rollout.sampling import choose

# Padded tokens of one prefill pass: enough to fill a device, few enough that activations stay small beside the cache.
PREFILL_TOKENS = 16_384
# Rows whose new tokens differ by less than this share a prefill pass.
PREFILL_SLACK = 64
# A shorter shared prefix is cheaper to feed again than to attend to through a mask.
MIN_PREFIX_TOKENS = 16


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
    def fed(self) -> int:
        """Tokens before the last one, which are in the cache."""
        return len(self.request.ids) + len(self.ids) - 1

    @property
    def last(self) -> int:
        return self.ids[-1] if self.ids else self.request.ids[-1]

    @property
    def next_noise(self) -> float:
        return self.noise[len(self.ids)]

    @property
    def finished(self) -> bool:
        return self.ended or len(self.ids) == self.request.max_new_tokens

    def append(self, token: int, logprob: float, stop_ids: frozenset[int]) -> None:
        self.ids.append(token)
        self.logprobs.append(logprob)
        self.ended = token in stop_ids


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
            raise ValueError(f"temperature={temperature} is not above 0; for the likeliest tokens, generate greedily")
        if not 0 < top_p <= 1:
            raise ValueError(f"top_p={top_p} is not in (0, 1]; 1 samples from the whole vocabulary")
        if max_batch_size < 1:
            raise ValueError(f"max_batch_size={max_batch_size} is below 1; give the number of rows to decode together")
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
            _require_full_attention(model)
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
        with _sampling_mode(self._model), torch.no_grad():
            for batch in self._batches(requests):
                rows, active = self._prefill(self._model, batch, index)
                for row in self._decode(self._model, rows, active, greedy):
                    completions[row.index] = Completion(tuple(row.ids), tuple(row.logprobs), row.ended)
                if sum(r.row_count * r.capacity for r in (*kept, rows)) <= self._max_cache_tokens:
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

    def _prefill(self, model: PreTrainedModel, batch: list[_Row], index: PrefixIndex) -> tuple[KvRows, list[_Row]]:
        """Feeds all but the last token of every request; returns the requests in the order of their rows."""
        leaders = {row.request.ids: row for row in reversed(batch)}
        prefixes = {ids: _worth_copying(index.longest(ids[:-1])) for ids in leaders}
        starts = {ids: prefix.length if prefix else 0 for ids, prefix in prefixes.items()}
        first = sorted(leaders.values(), key=lambda row: starts[row.request.ids] - row.fed)
        active = first + [row for row in batch if leaders[row.request.ids] is not row]
        capacity = max(len(row.request.ids) + row.request.max_new_tokens for row in batch)
        begun = [prefixes[row.request.ids] for row in first] + [None] * (len(active) - len(first))
        rows = KvRows.begin(begun, capacity, model.device)
        for feed in _prefill_passes([(starts[row.request.ids], row.request.ids[:-1]) for row in first]):
            model.get_decoder()(**_arguments(model, rows, feed))
        for place, leader in enumerate(first):
            same = [p for p in range(len(first), len(active)) if active[p].request.ids == leader.request.ids]
            rows.repeat(place, same)
        return rows, active

    def _decode(self, model: PreTrainedModel, rows: KvRows, active: list[_Row], greedy: bool) -> Iterator[_Row]:
        """Samples until every row has finished, yielding each as it does."""
        while active:
            feed = Feed(0, tuple(row.fed for row in active), tuple((row.last,) for row in active))
            logits = model(**_arguments(model, rows, feed)).logits[:, -1]
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


def _prefill_passes(rows: Sequence[tuple[int, tuple[int, ...]]]) -> Iterator[Feed]:
    """Passes over rows of (cached tokens, all tokens to be cached), given in falling order of what is to be fed."""
    first = 0
    while first < len(rows) and (longest := len(rows[first][1]) - rows[first][0]):
        last = first + 1
        while (
            last < len(rows)
            and (last + 1 - first) * longest <= PREFILL_TOKENS
            and 0 < len(rows[last][1]) - rows[last][0] >= longest - max(PREFILL_SLACK, longest // 2)
        ):
            last += 1
        starts = tuple(start for start, _ in rows[first:last])
        yield Feed(first, starts, tuple(ids[start:] for start, ids in rows[first:last]))
        first = last


def _arguments(model: PreTrainedModel, rows: KvRows, feed: Feed) -> dict[str, Any]:
    arguments = rows.feed(feed)
    mask = arguments["attention_mask"]
    if mask is not None and model.config._attn_implementation == "eager":
        # Eager attention adds its mask to the scores.
        lowest = torch.finfo(model.dtype).min
        arguments["attention_mask"] = torch.zeros_like(mask, dtype=model.dtype).masked_fill(~mask, lowest)
    return arguments


def _worth_copying(prefix: Prefix | None) -> Prefix | None:
    return prefix if prefix and prefix.length >= MIN_PREFIX_TOKENS else None


@contextmanager
def _sampling_mode(model: PreTrainedModel) -> Iterator[None]:
    """Evaluation mode, with an attention that takes masks over cache slots; the model is left as it was found."""
    training, attention = model.training, model.config._attn_implementation
    model.eval()
    if attention not in ("sdpa", "eager"):
        model.set_attn_implementation("sdpa")
    try:
        yield
    finally:
        model.train(training)
        if attention != model.config._attn_implementation:
            model.set_attn_implementation(attention)


def _stop_ids(model: PreTrainedModel) -> frozenset[int]:
    """Every end token of the model: its generation config may name one, several or none."""
    generation = getattr(model, "generation_config", None)
    ids = getattr(generation, "eos_token_id", None)
    if ids is None:
        ids = model.config.get_text_config().eos_token_id
    return frozenset([ids] if isinstance(ids, int) else ids or ())


def _require_full_attention(model: PreTrainedModel) -> None:
    kinds, _ = get_layer_types_and_kwargs(model.config.get_text_config(decoder=True))
    others = sorted(set(kinds) - {"full_attention"})
    if others:
        raise ValueError(
            f"{type(model).__name__} has layers of {', '.join(others)}, but the embedded generator samples only models "
            "with full attention in every layer; choose such a model or the vLLM generator"
        )
