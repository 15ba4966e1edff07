"""Checksums that tell whether a sampler holds the trainer's weights, every one of them and to the last bit.

A tensor's sum is that of a scrambled number for each of its values, modulo 2^64: the sum of a tensor that was put
together from others (vLLM fuses q, k and v) is the sum of theirs, in whatever order its values lie, and padding with
zeros adds nothing. A value that differs by its last bit changes the sum; values that changed places do not, which the
log-probs of probe tokens tell (weight_probe.py).
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence

import torch
from jaxtyping import Float, Int64
from torch import Tensor

# Values that are scrambled at once: eight bytes each, on the tensor's device.
CHUNK = 2**22
_MODULUS = 2**64
# The smallest normal number of float32 and bfloat16. Kernels may take less for 0, and do not tell -0 from 0.
_SMALLEST = 2.0**-126
# The finisher of SplitMix64 (Steele et al., https://doi.org/10.1145/2660193.2660195): one to one, and 0 stays 0.
_MULTIPLIERS = (0xBF58476D1CE4E5B9 - _MODULUS, 0x94D049BB133111EB - _MODULUS)
_SHIFTS = (30, 27, 31)


@torch.no_grad()
def weight_sum(tensor: Float[Tensor, "..."], dtype: torch.dtype) -> int:
    """Return the sum of ``tensor`` once it is rounded to ``dtype``, from 0 to 2^64 - 1."""
    total = 0
    for values in tensor.detach().reshape(-1).split(CHUNK):
        exact = values.to(dtype).float()
        exact = exact.masked_fill(exact.abs() < _SMALLEST, 0.0)
        total += int(_scrambled(exact.view(torch.int32).long()).sum())
    return total % _MODULUS


def sums_by_layer(sums: Iterable[tuple[str, int]]) -> dict[str, int]:
    """Sums of tensors by name -> sums by layer, the first number in a name ("" for what is in no layer)."""
    layers: dict[str, int] = defaultdict(int)
    for name, value in sums:
        number = re.search(r"(?<=\.)\d+(?=\.)", name)
        layer = number.group() if number else ""
        layers[layer] = (layers[layer] + value) % _MODULUS
    return dict(layers)


def differing_layers(trainer: Mapping[str, int], workers: Sequence[Mapping[str, int]]) -> list[str]:
    """Layers of which the workers of an engine together do not hold what the trainer does, in words.

    ``trainer`` are sums by layer, ``workers`` by name. A worker has a part of a tensor, or a copy of it: what has the
    same name and sum in several is the same tensor.
    """
    held = sums_by_layer({(name, value) for worker in workers for name, value in worker.items()})
    layers = [layer for layer in {**trainer, **held} if trainer.get(layer) != held.get(layer)]
    return [f"layer {layer}" if layer else "embedding, last norm or head" for layer in layers]


def _scrambled(numbers: Int64[Tensor, "n"]) -> Int64[Tensor, "n"]:
    """Map numbers one to one. Multiplication wraps around; shifts fill up with zeros."""
    for shift, multiplier in zip(_SHIFTS, (*_MULTIPLIERS, 1), strict=True):
        numbers = (numbers ^ ((numbers >> shift) & ((1 << (64 - shift)) - 1))) * multiplier
    return numbers
