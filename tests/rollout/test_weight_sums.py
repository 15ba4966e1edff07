from __future__ import annotations

import pytest
import torch

from envtune.rollout.weight_sums import differing_layers, sums_by_layer, weight_sum

MASK = 2**64 - 1
FLOAT32 = torch.float32


def scrambled(bits: int) -> int:
    """The finisher of SplitMix64 as it is published, on unsigned numbers."""
    number = bits & MASK
    number = ((number ^ (number >> 30)) * 0xBF58476D1CE4E5B9) & MASK
    number = ((number ^ (number >> 27)) * 0x94D049BB133111EB) & MASK
    return number ^ (number >> 31)


def test_a_sum_is_that_of_the_scrambled_bits_of_every_value():
    # Bits of 1.0 and -2.0 in float32; the second is a negative 32-bit integer.
    expected = (scrambled(0x3F800000) + scrambled(0xC0000000 - 2**32)) & MASK
    assert weight_sum(torch.tensor([1.0, -2.0]), FLOAT32) == expected


def test_the_last_bit_of_one_value_among_many_is_seen():
    weights = torch.linspace(-1, 1, 10_000)
    moved = weights.clone()
    moved[1234] = torch.nextafter(moved[1234], torch.tensor(2.0))
    assert weight_sum(weights, FLOAT32) != weight_sum(moved, FLOAT32)
    # What rounding takes away is no difference to an engine in bfloat16.
    assert weight_sum(weights, torch.bfloat16) == weight_sum(moved, torch.bfloat16)
    assert weight_sum(weights, torch.bfloat16) == weight_sum(weights.to(torch.bfloat16), torch.bfloat16)


def test_the_sum_of_fused_and_padded_weights_is_that_of_their_parts():
    q, k, v = torch.randn(8, 4), torch.randn(2, 4), torch.randn(2, 4)
    fused = torch.cat([q, k, v, torch.zeros(3, 4), -torch.zeros(1, 4)])
    parts = sum(weight_sum(part, FLOAT32) for part in (q, k, v)) & MASK
    assert weight_sum(fused, FLOAT32) == weight_sum(fused.T, FLOAT32) == parts


def test_more_values_than_are_scrambled_at_once_are_all_counted(monkeypatch):
    weights = torch.randn(10)
    whole = weight_sum(weights, FLOAT32)
    monkeypatch.setattr("envtune.rollout.weight_sums.CHUNK", 3)
    assert weight_sum(weights, FLOAT32) == whole


def test_sums_are_those_of_a_layer_whatever_its_weights_are_called():
    sums = [("model.layers.3.a.weight", 5), ("model.layers.3.b.weight.0", MASK), ("model.embed.weight", 2), ("x.0", 1)]
    assert sums_by_layer(sums) == {"3": 4, "": 3}


@pytest.mark.parametrize("copies", [1, 2])
def test_what_a_worker_has_a_copy_of_counts_once_and_what_it_has_a_part_of_as_a_part(copies: int):
    trainer = {"0": 10 + 20 + 7, "": 3}
    workers = [{"l.0.q": 10, "l.0.norm": 7, "head": 3}, {"l.0.q": 20, "l.0.norm": 7, "head": 3}]
    assert differing_layers(trainer, workers * copies) == []


@pytest.mark.parametrize("name", ["l.0.q", "l.0.norm"])
def test_one_worker_with_an_old_weight_is_found_out(name: str):
    trainer = {"0": 10 + 20 + 7, "": 3}
    workers = [{"l.0.q": 10, "l.0.norm": 7, "head": 3}, {"l.0.q": 20, "l.0.norm": 7, "head": 3}]
    workers[1][name] += 1
    assert differing_layers(trainer, workers) == ["layer 0"]


def test_what_one_side_has_and_the_other_has_not_differs():
    assert differing_layers({"0": 1, "1": 2, "": 3}, [{"l.0.q": 1, "head": 4}]) == [
        "layer 1",
        "embedding, last norm or head",
    ]
