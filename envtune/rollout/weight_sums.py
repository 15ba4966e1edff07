"""Checksums to compare the weights of sampler and trainer bit by bit.

A tensor's checksum is the sum of a hash of each value, modulo 2^64. It does not depend on the order of the values, so a
fused tensor (vLLM fuses q, k and v) has the sum of its parts, and zero padding adds 0. One different bit changes the
sum. A permutation of values does not; the log-probs of probe tokens detect that (weight_probe.py).
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence

import torch
from jaxtyping import Float, Int64
from torch import Tensor

# Values that are hashed at once: eight bytes each, on the tensor's device.
CHUNK = 2**22
_MODULUS = 2**64
# The smallest normal number of float32 and bfloat16. Kernels may flush subnormals and -0 to 0.
_SMALLEST = 2.0**-126
# The finaliser of SplitMix64 (Steele et al., https://doi.org/10.1145/2660193.2660195): a bijection with f(0) = 0.
_MULTIPLIERS = (0xBF58476D1CE4E5B9 - _MODULUS, 0x94D049BB133111EB - _MODULUS)
_SHIFTS = (30, 27, 31)


@torch.no_grad()
def weight_sum(tensor: Float[Tensor, "..."], dtype: torch.dtype) -> int:
    """Return the checksum of ``tensor`` rounded to ``dtype``, in [0, 2^64 - 1]."""
    total = 0
    for values in tensor.detach().reshape(-1).split(CHUNK):
        exact = values.to(dtype).float()
        exact = exact.masked_fill(exact.abs() < _SMALLEST, 0.0)
        total += int(_hashed(exact.view(torch.int32).long()).sum())
    return total % _MODULUS


def sums_by_layer(sums: Iterable[tuple[str, int]]) -> dict[str, int]:
    """Add up checksums by layer, the first number in a name; "" collects tensors outside of layers."""
    layers: dict[str, int] = defaultdict(int)
    for name, value in sums:
        number = re.search(r"(?<=\.)\d+(?=\.)", name)
        layer = number.group() if number else ""
        layers[layer] = (layers[layer] + value) % _MODULUS
    return dict(layers)


def differing_layers(trainer: Mapping[str, int], workers: Sequence[Mapping[str, int]]) -> list[str]:
    """Return descriptions of the layers in which trainer and engine differ.

    Args:
        trainer: checksums by layer.
        workers: checksums by name, of each worker of the engine. A worker has a shard or a copy of each tensor;
            entries with equal name and checksum are copies and count once.
    """
    held = sums_by_layer({(name, value) for worker in workers for name, value in worker.items()})
    layers = [layer for layer in {**trainer, **held} if trainer.get(layer) != held.get(layer)]
    return [f"layer {layer}" if layer else "embedding, last norm or head" for layer in layers]


def _hashed(numbers: Int64[Tensor, "n"]) -> Int64[Tensor, "n"]:
    """Hash each number with SplitMix64's finaliser. Multiplication wraps around; the mask makes shifts logical."""
    for shift, multiplier in zip(_SHIFTS, (*_MULTIPLIERS, 1), strict=True):
        numbers = (numbers ^ ((numbers >> shift) & ((1 << (64 - shift)) - 1))) * multiplier
    return numbers
