"""Causal attention over packed rows that share prompts, registered with transformers under one name.

Each completion's queries meet the keys of its prompt and its own, nothing else, so the work is that of the separate
rows less the repeated prompts. There is no cache: gradients flow as usual, and gradient checkpointing stays possible.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.attention.bias import causal_lower_right
from torch.nn.functional import scaled_dot_product_attention
from transformers import AttentionInterface, AttentionMaskInterface, PreTrainedModel
from transformers.cache_utils import get_layer_types_and_kwargs

from envtune.errors import UserError
from envtune.grpo.packing import Branches

ATTENTION = "envtune_shared_prompts"


def share_prompts(model: PreTrainedModel) -> None:
    """From now on the model attends within the ``branches`` that every call of its decoder must name.

    Raises:
        UserError: a layer's attention is of another kind than full causal attention, or cannot be replaced.
    """
    kinds, _ = get_layer_types_and_kwargs(model.config.get_text_config(decoder=True))
    others = sorted(set(kinds) - {"full_attention"})
    # private: transformers has no public way to find out; trying a pass, as policy.py does, would replace it.
    if others or not model._supports_attention_backend:
        reason = f"layers of {', '.join(others)}" if others else "an attention that cannot be replaced"
        raise UserError(
            f"{type(model).__name__} has {reason}, but the update computes a group's prompt once in full causal "
            "attention; choose a model such as Qwen or Llama"
        )
    model.set_attn_implementation(ATTENTION)


def shared_prompt_attention(
    module: Any,
    query: Float[Tensor, "1 head N dim"],
    key: Float[Tensor, "1 kv_head N dim"],
    value: Float[Tensor, "1 kv_head N dim"],
    attention_mask: Tensor | None,
    scaling: float | None = None,
    branches: Sequence[Branches] | None = None,
    **kwargs: Any,
) -> tuple[Float[Tensor, "1 N head dim"], None]:
    """Attend within ``branches``; the signature is transformers'.

    Raises:
        TypeError: the model does not hand its arguments down to its attention.
    """
    if branches is None:
        raise TypeError(f"{type(module).__name__} got no branches: its model does not pass arguments on to attention")
    # Under autocast, rotary embeddings leave queries and keys in float32, and PyTorch takes no such three with a mask.
    query, key = query.to(value.dtype), key.to(value.dtype)
    groups = query.shape[1] // key.shape[1]
    key, value = (states.repeat_interleave(groups, dim=1) for states in (key, value))
    parts = []
    for branch in branches:
        prompt = query[:, :, branch.prompt], key[:, :, branch.prompt], value[:, :, branch.prompt]
        parts.append(scaled_dot_product_attention(*prompt, is_causal=True, scale=scaling))
        for place in branch.completions:
            # Nothing follows a prompt whose episode ended before a token was sampled.
            if place.stop > place.start:
                parts.append(_completion(query[:, :, place], key[:, :, place], value[:, :, place], prompt[1:], scaling))
    return torch.cat(parts, dim=2).transpose(1, 2).contiguous(), None


def _completion(
    query: Float[Tensor, "1 head T dim"],
    key: Float[Tensor, "1 head T dim"],
    value: Float[Tensor, "1 head T dim"],
    prompt: tuple[Float[Tensor, "1 head P dim"], Float[Tensor, "1 head P dim"]],
    scaling: float | None,
) -> Float[Tensor, "1 head T dim"]:
    """Return the attention of one completion, its queries standing at the end of prompt and completion."""
    keys, values = torch.cat([prompt[0], key], dim=2), torch.cat([prompt[1], value], dim=2)
    bias = causal_lower_right(query.shape[2], keys.shape[2])
    return scaled_dot_product_attention(query, keys, values, attn_mask=bias, scale=scaling)


def _no_mask(*args: Any, **kwargs: Any) -> None:
    """Who attends to whom is in the branches."""


AttentionInterface.register(ATTENTION, shared_prompt_attention)
AttentionMaskInterface.register(ATTENTION, _no_mask)
