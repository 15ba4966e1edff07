"""Rotary positions that depend on the longest row of a pass: longrope and dynamic NTK.

With them a token's log-prob changes when its row grows past a length, or when the row is computed beside a longer one.
The sampler has then used other log-probs than the update computes, on any path.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor
from transformers import PreTrainedModel

from envtune.errors import UserError


@torch.no_grad()
def require_constant_positions(model: PreTrainedModel, max_tokens: int) -> None:
    """Raise UserError if rows of up to ``max_tokens`` tokens change the positions of short ones.

    The rotary modules are measured, so that the cost does not depend on the model's size.
    """
    for rotary in _rotary_modules(model):
        if _differs(rotary, max_tokens):
            name, kind = type(model).__name__, rotary.rope_type
            most = _last_equal(rotary, max_tokens)
            raise UserError(
                f"{name} computes other rotary positions ({kind}) for all tokens of a row once it is longer than "
                f"{most} tokens, so that the log-probs of tokens sampled before change: let "
                f"rollout.max_prompt_tokens + rollout.max_response_tokens, {max_tokens} here, be at most {most}"
            )


def _rotary_modules(model: PreTrainedModel) -> Iterator[Any]:
    for module in model.modules():
        if hasattr(module, "rope_type") and hasattr(module, "inv_freq") and isinstance(module.rope_type, str):
            # A copy, because a pass changes its frequencies.
            yield copy.deepcopy(module)


def _differs(rotary: Any, length: int) -> bool:
    return any(not torch.equal(*pair) for pair in zip(_first(rotary, 8), _first(rotary, max(8, length)), strict=True))


def _first(rotary: Any, length: int) -> tuple[Tensor, ...]:
    """Return cosines and sines of the first positions in a row of ``length`` tokens."""
    positions = torch.arange(8, device=rotary.inv_freq.device)
    positions = torch.cat([positions, positions.new_tensor([length - 1])])[None]
    found = rotary(torch.zeros(1, 1, 1, device=positions.device), positions)
    # DeepSeek-V2 returns one tensor of complex numbers.
    return tuple(part[:, :8] for part in ((found,) if isinstance(found, Tensor) else found))


def _last_equal(rotary: Any, length: int) -> int:
    """Return the greatest number of tokens in a row that does not change its first positions."""
    low, high = 8, length
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if _differs(rotary, middle) else (middle, high)
    return low
