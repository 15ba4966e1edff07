"""Attention over rows that share trunks, registered with transformers under one name.

A trunk's keys and values are read once for all rows that have it, as one product with all their queries; reading them
is what decoding a group of long prompts costs.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from transformers import AttentionInterface, AttentionMaskInterface
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.masking_utils import sdpa_mask

from envtune.rollout.kv_rows import Prefix

ATTENTION = "envtune_kv_rows"


def kv_rows_attention(
    module: Any,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    scaling: float | None = None,
    trunks: Sequence[tuple[Prefix | None, Tensor]] | None = None,
    **kwargs: Any,
) -> tuple[Tensor, None]:
    """Causal attention of a pass prepared by ``KvRows.feed``; the signature is transformers'.

    Shapes: query [row, head, width, dimension], key and value [row, key head, slot, dimension] behind the trunks ->
    [row, width, head, dimension]. ``trunks`` names the rows of each trunk, and of none; it is empty where no row has
    one.

    Raises:
        TypeError: the model does not hand its arguments down to its attention.
    """
    if trunks is None:
        raise TypeError(f"{type(module).__name__} got no trunks: its model does not pass arguments on to its attention")
    if not trunks or attention_mask is None:
        return sdpa_attention_forward(module, query, key, value, attention_mask, scaling=scaling, **kwargs)
    scaling = query.shape[-1] ** -0.5 if scaling is None else scaling
    queries_per_key = query.shape[1] // key.shape[1]
    # Query heads that share a key head, and a row's tokens, are all just queries to that key head.
    grouped = query.unflatten(1, (-1, queries_per_key)).flatten(2, 3) * scaling
    mask = attention_mask.repeat(1, 1, queries_per_key, 1)
    scores = (grouped @ key.transpose(-1, -2)).masked_fill(~mask, float("-inf"))
    out = torch.zeros_like(grouped)
    for trunk, rows in trunks:
        if trunk is None:
            scores[rows] = _softmax(scores[rows])
            continue
        trunk_keys, trunk_values = trunk.keys_and_values(module.layer_idx)
        joined = grouped[rows].transpose(0, 1).flatten(1, 2)
        trunk_scores = (joined @ trunk_keys.transpose(-1, -2)).unflatten(1, (len(rows), -1)).transpose(0, 1)
        weights = _softmax(torch.cat([trunk_scores, scores[rows]], dim=-1))
        scores[rows] = weights[..., trunk.length :]
        joined = weights[..., : trunk.length].transpose(0, 1).flatten(1, 2)
        out[rows] = (joined @ trunk_values).unflatten(1, (len(rows), -1)).transpose(0, 1)
    out = (out + scores @ value).unflatten(2, (queries_per_key, -1)).flatten(1, 2)
    return out.transpose(1, 2).contiguous(), None


def _softmax(scores: Tensor) -> Tensor:
    return torch.softmax(scores, dim=-1, dtype=torch.float32).to(scores.dtype)


AttentionInterface.register(ATTENTION, kv_rows_attention)
AttentionMaskInterface.register(ATTENTION, sdpa_mask)
