"""Log-probs and entropies of tokens from the hidden states that predict them, without the [token, vocabulary] tensor.

The output projection runs chunk by chunk and is computed again in the backward pass, so that only one chunk of logits
exists at any time.
"""

from __future__ import annotations

from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

# Logits of a chunk. On a CPU, 32 MB in float32, which the caches still help with: measured faster than more and than
# less. On a GPU 512 MB, for large matrix products: not measured.
CPU_CHUNK = 2**23
GPU_CHUNK = 2**27


def project(
    head: nn.Module,
    states: Float[Tensor, "T hidden"],
    targets: Int[Tensor, "T"],
    temperature: float,
    logits_per_chunk: int | None = None,
) -> tuple[Float[Tensor, "T"], Float[Tensor, "T"]]:
    """Log-probs of ``targets`` and entropies (nats), float32, of softmax(head(states) / temperature)."""
    if logits_per_chunk is None:
        logits_per_chunk = CPU_CHUNK if states.device.type == "cpu" else GPU_CHUNK
    with torch.no_grad():
        vocabulary = head(states.new_zeros(1, states.shape[1])).shape[-1]
    chunk = max(1, logits_per_chunk // vocabulary)
    parts = [
        checkpoint(_project_chunk, head, some, target, temperature, use_reentrant=False)
        for some, target in zip(states.split(chunk), targets.split(chunk), strict=True)
    ]
    logprobs, entropy = (torch.cat(values) for values in zip(*parts, strict=True))
    return logprobs, entropy


def _project_chunk(head: nn.Module, states: Tensor, targets: Tensor, temperature: float) -> tuple[Tensor, Tensor]:
    return _LogprobAndEntropy.apply(head(states), targets, temperature)


class _LogprobAndEntropy(torch.autograd.Function):
    """From logits z [T, V]: log p(target) and H(p), with p = softmax(z / temperature), in float32.

    With l = log p, the gradients are d log p_k / dz_i = ([i = k] - p_i) / temperature and
    dH / dz_i = -p_i (l_i + H) / temperature. One tensor of the logits' size is kept for the backward pass, which
    overwrites it.
    """

    @staticmethod
    def forward(ctx: Any, logits: Tensor, targets: Tensor, temperature: float) -> tuple[Tensor, Tensor]:
        log_p = torch.log_softmax(logits.float() if temperature == 1 else logits.float() / temperature, dim=-1)
        entropy = -torch.linalg.vecdot(log_p.exp(), log_p)
        ctx.save_for_backward(log_p, targets, entropy)
        ctx.temperature, ctx.dtype = temperature, logits.dtype
        return log_p.gather(-1, targets[:, None])[:, 0], entropy

    @staticmethod
    def backward(ctx: Any, d_logprob: Tensor, d_entropy: Tensor) -> tuple[Tensor, None, None]:
        log_p, targets, entropy = ctx.saved_tensors
        p = log_p.exp()
        gradient = log_p.add_(entropy[:, None]).mul_(-d_entropy[:, None]).sub_(d_logprob[:, None]).mul_(p)
        gradient.scatter_add_(-1, targets[:, None], d_logprob[:, None].to(gradient.dtype))
        if ctx.temperature != 1:
            gradient.div_(ctx.temperature)
        return gradient.to(ctx.dtype), None, None
