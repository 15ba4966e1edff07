"""Forward passes over packed tokens of many rows, and their attention function, registered with transformers.

A pass feeds the model one sequence without padding that concatenates tokens of several rows; only the attention
separates the rows. A row attends to a prompt, cached once for all rows that share it, and to its own tail after it. All
queries to a prompt are one matrix product, so its keys and values are read once: memory reads dominate the cost of
decoding a group with a long prompt.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Bool, Float, Float32, Int
from torch import Tensor
from transformers import AttentionInterface
from transformers.integrations.sdpa_attention import sdpa_attention_forward

from envtune.rollout.hf.kv_rows import KvRows, Packed, States
from envtune.rollout.inference import require_known_arguments

# No mask function is registered under this name, so transformers does not create a mask.
ATTENTION = "envtune_kv_rows"


Query = Float[Tensor, "1 head token dim"]
Grouped = Float[Tensor, "row kv_head query dim"]


@dataclass(frozen=True, slots=True)
class Feed:
    """Tokens that extend a tail."""

    prompt: int
    """Row of the prompt before the tail."""
    row: int
    """Row of the tail."""
    tokens: tuple[int, ...]
    """Token ids, at least one."""


class PromptPass:
    """A pass that appends ``tokens`` to one row of ``prompts``."""

    def __init__(self, prompts: KvRows, row: int, tokens: Sequence[int], device: torch.device) -> None:
        self._prompts, self._row = prompts, row
        start = prompts.lengths[row]
        self._offsets = torch.arange(start, start + len(tokens), device=device)
        self._rows = torch.full_like(self._offsets, row)
        self._mask = _behind(start, len(tokens), device) if start else None
        self._ids = torch.tensor(tokens, device=device)
        prompts.lengths[row] += len(tokens)

    @property
    def arguments(self) -> dict[str, Any]:
        """Keyword arguments of the model's forward."""
        return _arguments(self, self._ids, self._offsets) | {"logits_to_keep": 1}

    def attend(self, module: Any, query: Query, key: Packed, value: Packed, scaling: float) -> Query:
        """Cache keys and values of one layer and return its attention output."""
        self._prompts.write(module.layer_idx, self._rows, self._offsets, key, value)
        if self._mask is not None:
            key, value = self._prompts.read(module.layer_idx, self._row)
        return sdpa_attention_forward(module, query, key, value, self._mask, scaling=scaling)[0].transpose(1, 2)


class StepPass:
    """A pass that appends tokens to rows of ``tails`` and returns logits after the last token of each.

    Leading feeds of one token, if their rows are 0, 1, 2, …, are decoded together; a row with several new tokens (an
    observation) attends separately.
    """

    def __init__(self, prompts: KvRows, tails: KvRows, feeds: Sequence[Feed], device: torch.device) -> None:
        self._prompts, self._tails = prompts, tails
        single = [len(feed.tokens) == 1 and feed.row == index for index, feed in enumerate(feeds)]
        self._singles = single.index(False) if False in single else len(feeds)
        self._longer = feeds[self._singles :]
        self._place(feeds, device)
        for feed in feeds:
            tails.lengths[feed.row] += len(feed.tokens)
        self._masks = [
            _behind(prompts.lengths[feed.prompt] + tails.lengths[feed.row] - len(feed.tokens), len(feed.tokens), device)
            for feed in self._longer
        ]
        if self._singles:
            self._tail_bias = tails.bias_of_first(self._singles, device)
            self._prompt_bias = prompts.bias_of_first(len(prompts.lengths), device)
            self._gather([feed.prompt for feed in feeds[: self._singles]], device)

    def _place(self, feeds: Sequence[Feed], device: torch.device) -> None:
        """Set id, position, row and offset in the row of every token of the pass."""
        rows: list[int] = []
        offsets: list[int] = []
        positions: list[int] = []
        last: list[int] = []
        for feed in feeds:
            prompt, start, count = self._prompts.lengths[feed.prompt], self._tails.lengths[feed.row], len(feed.tokens)
            rows += [feed.row] * count
            offsets += range(start, start + count)
            positions += range(prompt + start, prompt + start + count)
            last.append(len(rows) - 1)
        ids = [token for feed in feeds for token in feed.tokens]
        self._ids, self._positions, self._rows, self._offsets = torch.tensor(
            [ids, positions, rows, offsets], device=device
        )
        self._last = torch.tensor(last, device=device)

    def _gather(self, prompt_of: Sequence[int], device: torch.device) -> None:
        """Group rows by prompt: ``_members`` [prompt, width], padded with row 0, and each row's flat index in it."""
        members: list[list[int]] = [[] for _ in self._prompts.lengths]
        for row, prompt in enumerate(prompt_of):
            members[prompt].append(row)
        width = max(map(len, members))
        places = {row: prompt * width + i for prompt, rows in enumerate(members) for i, row in enumerate(rows)}
        self._members = torch.tensor([rows + [0] * (width - len(rows)) for rows in members], device=device)
        self._places = torch.tensor([places[row] for row in range(len(prompt_of))], device=device)

    @property
    def arguments(self) -> dict[str, Any]:
        """Keyword arguments of the model's forward."""
        return _arguments(self, self._ids, self._positions) | {"logits_to_keep": self._last}

    def attend(self, module: Any, query: Query, key: Packed, value: Packed, scaling: float) -> Query:
        """Cache keys and values of one layer and return its attention output."""
        self._tails.write(module.layer_idx, self._rows, self._offsets, key, value)
        parts = [self._decode(module.layer_idx, query[0, :, : self._singles], scaling)] if self._singles else []
        start = self._singles
        for feed, mask in zip(self._longer, self._masks, strict=True):
            stop = start + len(feed.tokens)
            parts.append(self._continue(module, feed, query[:, :, start:stop], mask, scaling))
            start = stop
        return torch.cat(parts, dim=2) if len(parts) > 1 else parts[0]

    def _continue(
        self, module: Any, feed: Feed, query: Query, mask: Bool[Tensor, "1 1 token seen"], scaling: float
    ) -> Query:
        """Return the attention output of several new tokens of one row."""
        prompt, tail = self._prompts.read(module.layer_idx, feed.prompt), self._tails.read(module.layer_idx, feed.row)
        keys, values = (torch.cat(pair, dim=2) for pair in zip(prompt, tail, strict=True))
        return sdpa_attention_forward(module, query, keys, values, mask, scaling=scaling)[0].transpose(1, 2)

    def _decode(
        self, layer: int, query: Float[Tensor, "head row dim"], scaling: float
    ) -> Float[Tensor, "1 head row dim"]:
        """Return the attention output of one new token of each of the first rows."""
        tail_keys, tail_values = self._tails.read_first(layer, self._singles)
        # Grouped query heads and the rows of a prompt are further queries to one key head.
        query = (query * scaling).transpose(0, 1).unflatten(1, (tail_keys.shape[1], -1))
        tail = _Partial.of(query, tail_keys, tail_values, self._tail_bias)
        joined = query[self._members].transpose(1, 2).flatten(2, 3)
        prompt_keys, prompt_values = self._prompts.read_first(layer, len(self._prompts.lengths))
        prompt = _Partial.of(joined, prompt_keys, prompt_values, self._prompt_bias)
        merged = tail.merge(prompt.divided(self._members.shape[1], self._places))
        return merged.flatten(1, 2).transpose(0, 1)[None]


ForwardPass = PromptPass | StepPass


@dataclass(frozen=True, slots=True)
class _Partial:
    """Unnormalised attention over a part of the keys (online softmax: Milakov & Gimelshein 2018, arXiv 1805.02867)."""

    sums: Float32[Tensor, "row kv_head query dim"]
    """Sum over keys of exp(score - greatest) * value."""
    weights: Float32[Tensor, "row kv_head query 1"]
    """Sum over keys of exp(score - greatest)."""
    greatest: Float32[Tensor, "row kv_head query 1"]
    """Greatest score."""

    @classmethod
    def of(
        cls,
        query: Float[Tensor, "row kv_head query dim"],
        keys: States,
        values: States,
        bias: Float32[Tensor, "row 1 1 token"],
    ) -> _Partial:
        scores = (query @ keys.transpose(-1, -2)).float().add_(bias)
        greatest = scores.amax(dim=-1, keepdim=True)
        scores.sub_(greatest).exp_()
        return cls((scores.to(values.dtype) @ values).float(), scores.sum(dim=-1, keepdim=True), greatest)

    def divided(self, width: int, places: Int[Tensor, "row"]) -> _Partial:
        """Reshape [prompt, kv_head, width * query, …] to [row, kv_head, query, …]; ``places`` are flat row indices."""
        parts = (self.sums, self.weights, self.greatest)
        return _Partial(*(part.unflatten(2, (width, -1)).transpose(1, 2).flatten(0, 1)[places] for part in parts))

    def merge(self, other: _Partial) -> Float32[Tensor, "row kv_head query dim"]:
        """Return the normalised attention over both parts."""
        greatest = torch.maximum(self.greatest, other.greatest)
        mine, others = (self.greatest - greatest).exp(), (other.greatest - greatest).exp()
        return (self.sums * mine + other.sums * others) / (self.weights * mine + other.weights * others)


def kv_rows_attention(
    module: Any,
    query: Query,
    key: Packed,
    value: Packed,
    attention_mask: Tensor | None,
    scaling: float | None = None,
    kv_pass: ForwardPass | None = None,
    **kwargs: Any,
) -> tuple[Float[Tensor, "1 token head dim"], None]:
    """Return the attention output of a layer during a pass, with the signature of transformers' AttentionInterface.

    Raises:
        TypeError: the model does not pass keyword arguments on to its attention, or that is not plain causal one.
    """
    if kv_pass is None:
        raise TypeError(f"{type(module).__name__} got no kv_pass: its model does not pass arguments on to attention")
    require_known_arguments(kwargs)
    scaling = query.shape[-1] ** -0.5 if scaling is None else scaling
    out = kv_pass.attend(module, query, key, value, scaling).to(query.dtype)
    return out.transpose(1, 2).contiguous(), None


def _arguments(kv_pass: ForwardPass, ids: Int[Tensor, "token"], positions: Int[Tensor, "token"]) -> dict[str, Any]:
    return {"input_ids": ids[None], "position_ids": positions[None], "use_cache": False, "kv_pass": kv_pass}


def _behind(start: int, count: int, device: torch.device) -> Bool[Tensor, "1 1 {count} {start+count}"]:
    """Return a mask, True = attend: every token attends to ``start`` earlier tokens and, causally, to the new ones."""
    return torch.ones(count, start + count, dtype=torch.bool, device=device).tril(start)[None, None]


AttentionInterface.register(ATTENTION, kv_rows_attention)
