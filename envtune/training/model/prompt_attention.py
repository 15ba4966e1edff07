"""Causal attention over packed rows with shared prompts, registered with transformers.

The queries of a completion attend to its prompt and itself, so the work is that of separate rows without the repeated
prompts. There is no KV cache: gradients and gradient checkpointing work as usual.
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

from envtune.errors import UserError
from envtune.grpo.packing import Branches
from envtune.rollout.inference import attention_obstacle, replace_attention, require_known_arguments

ATTENTION = "envtune_shared_prompts"


def share_prompts(model: PreTrainedModel) -> None:
    """Make the model attend within ``branches``, which every call of its decoder must then pass.

    Raises:
        UserError: a layer does not use full causal attention, or its attention cannot be replaced.
    """
    obstacle = attention_obstacle(model)
    if obstacle:
        raise UserError(
            f"{type(model).__name__} cannot share prompts, because {obstacle}: choose a model such as Qwen or Llama"
        )
    replace_attention(model, ATTENTION)


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
        TypeError: the model does not pass its keyword arguments to its attention, or that is not plain causal one.
    """
    if branches is None:
        raise TypeError(f"{type(module).__name__} got no branches: its model does not pass arguments on to attention")
    require_known_arguments(kwargs)
    # Under autocast, rotary embeddings return float32 queries and keys, and PyTorch's masked attention needs one dtype.
    query, key = query.to(value.dtype), key.to(value.dtype)
    groups = query.shape[1] // key.shape[1]
    key, value = (states.repeat_interleave(groups, dim=1) for states in (key, value))
    parts = []
    for branch in branches:
        prompt = query[:, :, branch.prompt], key[:, :, branch.prompt], value[:, :, branch.prompt]
        parts.append(scaled_dot_product_attention(*prompt, is_causal=True, scale=scaling))
        for span in branch.completions:
            # Empty if the episode ended before a token was sampled.
            if span.stop > span.start:
                keys = torch.cat([prompt[1], key[:, :, span]], dim=2)
                values = torch.cat([prompt[2], value[:, :, span]], dim=2)
                # The queries are the last positions of prompt and completion.
                bias = causal_lower_right(span.stop - span.start, keys.shape[2])
                parts.append(
                    scaled_dot_product_attention(query[:, :, span], keys, values, attn_mask=bias, scale=scaling)
                )
    return torch.cat(parts, dim=2).transpose(1, 2).contiguous(), None


def _no_mask(*args: Any, **kwargs: Any) -> None:
    """Replace the attention mask by the branches."""


AttentionInterface.register(ATTENTION, shared_prompt_attention)
AttentionMaskInterface.register(ATTENTION, _no_mask)
