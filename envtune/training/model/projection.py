"""Log-probs and entropies of tokens from their predicting hidden states, without the [T, V] logits.

The output projection runs chunk by chunk in two buffers, and again in the backward pass, so that at most two chunks of
logits exist at any time.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from jaxtyping import Float, Float32, Int
from torch import Tensor, nn

States = Float[Tensor, "T hidden"]
Weight = Float[Tensor, "vocabulary hidden"]
Bias = Float[Tensor, "vocabulary"] | None
# Logits per chunk. On a CPU 32 MB in float32, a good part of which fits into the caches. On a GPU 1 GB, so that the
# weight gradient of a chunk is bound by arithmetic, not by memory traffic (reasoned, not measured).
CPU_CHUNK = 2**23
GPU_CHUNK = 2**28


def project(
    head: nn.Linear, states: States, targets: Int[Tensor, "T"], temperature: float, logits_per_chunk: int | None = None
) -> tuple[Float32[Tensor, "T"], Float32[Tensor, "T"]]:
    """Return log-probs of ``targets`` and entropies, both in nats, of softmax(head(states) / temperature).

    Matrix products run in autocast's dtype if it is enabled, everything else in float32.
    """
    if logits_per_chunk is None:
        logits_per_chunk = CPU_CHUNK if states.device.type == "cpu" else GPU_CHUNK
    rows = max(1, logits_per_chunk // head.out_features)
    device = states.device.type
    dtype = torch.get_autocast_dtype(device) if torch.is_autocast_enabled(device) else head.weight.dtype
    return _Projection.apply(states, head.weight, head.bias, targets, temperature, rows, dtype)


class _Projection(torch.autograd.Function):
    """Log-prob l_k of target k and entropy H = -sum p l, from states h and the head's weight W and bias b.

    With z = (W h + b) / temperature, l = log softmax(z) and p = exp l, the gradients are dl_k / dz_i = [i = k] - p_i
    and dH / dz_i = -p_i (l_i + H).
    """

    @staticmethod
    def forward(
        ctx: Any,
        states: States,
        weight: Weight,
        bias: Bias,
        targets: Int[Tensor, "T"],
        temperature: float,
        rows: int,
        dtype: torch.dtype,
    ) -> tuple[Float32[Tensor, "T"], Float32[Tensor, "T"]]:
        logprobs = torch.empty(len(states), dtype=torch.float32, device=states.device)
        entropy = torch.empty_like(logprobs)
        for chunk, log_p, p in _chunks(states, weight, bias, temperature, rows, dtype):
            logprobs[chunk] = log_p.gather(-1, targets[chunk, None])[:, 0]
            entropy[chunk] = -torch.linalg.vecdot(log_p, p)
        ctx.save_for_backward(states, weight, bias, targets, entropy)
        ctx.settings = temperature, rows, dtype
        return logprobs, entropy

    @staticmethod
    def backward(ctx: Any, d_logprobs: Float32[Tensor, "T"], d_entropy: Float32[Tensor, "T"]) -> tuple[Any, ...]:
        states, weight, bias, targets, entropy = ctx.saved_tensors
        temperature, _, dtype = ctx.settings
        weight_in_dtype = weight.to(dtype)
        d_states = torch.empty_like(states)
        d_weight = torch.zeros_like(weight) if ctx.needs_input_grad[1] else None
        d_bias = torch.zeros_like(bias) if ctx.needs_input_grad[2] else None
        for chunk, log_p, p in _chunks(states, weight, bias, *ctx.settings):
            d_logits = log_p.add_(entropy[chunk, None]).mul_(-d_entropy[chunk, None]).sub_(d_logprobs[chunk, None])
            d_logits.mul_(p).scatter_add_(-1, targets[chunk, None], d_logprobs[chunk, None])
            product = d_logits.div_(temperature).to(dtype)
            d_states[chunk] = (product @ weight_in_dtype).to(d_states.dtype)
            if d_weight is not None:
                _add_product(d_weight, product.T, states[chunk].to(dtype))
            if d_bias is not None:
                d_bias += d_logits.sum(dim=0).to(d_bias.dtype)
        return d_states, d_weight, d_bias, None, None, None, None


def _chunks(
    states: States, weight: Weight, bias: Bias, temperature: float, rows: int, dtype: torch.dtype
) -> Iterator[tuple[slice, Float32[Tensor, "token vocabulary"], Float32[Tensor, "token vocabulary"]]]:
    """Yield the slice of a chunk, and its l and p in buffers that the next chunk overwrites."""
    weight = weight.to(dtype)
    buffers = torch.empty(2, min(rows, len(states)), weight.shape[0], dtype=torch.float32, device=states.device)
    for start in range(0, len(states), rows):
        chunk = slice(start, min(start + rows, len(states)))
        log_p, p = buffers[:, : chunk.stop - start]
        _product(states[chunk].to(dtype), weight, out=p)
        if bias is not None:
            p += bias
        torch.log_softmax(p.div_(temperature), dim=-1, out=log_p)
        torch.exp(log_p, out=p)
        yield chunk, log_p, p


def _product(states: Float[Tensor, "n k"], weight: Float[Tensor, "m k"], out: Float[Tensor, "n m"]) -> None:
    if states.dtype == out.dtype:
        torch.mm(states, weight.T, out=out)
    else:
        out.copy_(states @ weight.T)


def _add_product(total: Float[Tensor, "n m"], left: Float[Tensor, "n k"], right: Float[Tensor, "k m"]) -> None:
    if total.dtype == left.dtype:
        total.addmm_(left, right)
    else:
        total += left @ right
