from __future__ import annotations

import pytest
import torch

from envtune.rollout.weight_sums import differing_layers, sums_by_layer, weight_sum

MASK = 2**64 - 1
FLOAT32 = torch.float32


def hashed(bits: int) -> int:
    """Apply the finaliser of SplitMix64 as published, to unsigned numbers."""
    number = bits & MASK
    number = ((number ^ (number >> 30)) * 0xBF58476D1CE4E5B9) & MASK
    number = ((number ^ (number >> 27)) * 0x94D049BB133111EB) & MASK
    return number ^ (number >> 31)


def test_a_checksum_is_the_sum_of_the_hashes_of_all_values():
    # Bits of 1.0 and -2.0 in float32; the second is a negative 32-bit integer.
    expected = (hashed(0x3F800000) + hashed(0xC0000000 - 2**32)) & MASK
    assert weight_sum(torch.tensor([1.0, -2.0]), FLOAT32) == expected


def test_the_last_bit_of_one_value_among_many_changes_the_checksum():
    weights = torch.linspace(-1, 1, 10_000)
    moved = weights.clone()
    moved[1234] = torch.nextafter(moved[1234], torch.tensor(2.0))
    assert weight_sum(weights, FLOAT32) != weight_sum(moved, FLOAT32)
    # bfloat16 rounds the difference away.
    assert weight_sum(weights, torch.bfloat16) == weight_sum(moved, torch.bfloat16)
    assert weight_sum(weights, torch.bfloat16) == weight_sum(weights.to(torch.bfloat16), torch.bfloat16)


def test_fused_and_padded_weights_have_the_checksum_of_their_parts():
    q, k, v = torch.randn(8, 4), torch.randn(2, 4), torch.randn(2, 4)
    fused = torch.cat([q, k, v, torch.zeros(3, 4), -torch.zeros(1, 4)])
    parts = sum(weight_sum(part, FLOAT32) for part in (q, k, v)) & MASK
    assert weight_sum(fused, FLOAT32) == weight_sum(fused.T, FLOAT32) == parts


def test_chunks_do_not_change_a_checksum(monkeypatch):
    weights = torch.randn(10)
    whole = weight_sum(weights, FLOAT32)
    monkeypatch.setattr("envtune.rollout.weight_sums.CHUNK", 3)
    assert weight_sum(weights, FLOAT32) == whole


def test_checksums_are_added_up_by_layer():
    sums = [("model.layers.3.a.weight", 5), ("model.layers.3.b.weight.0", MASK), ("model.embed.weight", 2), ("x.0", 1)]
    assert sums_by_layer(sums) == {"3": 4, "": 3}


@pytest.mark.parametrize("copies", [1, 2])
def test_copies_on_several_workers_count_once_and_shards_add_up(copies: int):
    trainer = {"0": 10 + 20 + 7, "": 3}
    workers = [{"l.0.q": 10, "l.0.norm": 7, "head": 3}, {"l.0.q": 20, "l.0.norm": 7, "head": 3}]
    assert differing_layers(trainer, workers * copies) == []


@pytest.mark.parametrize("name", ["l.0.q", "l.0.norm"])
def test_one_worker_with_an_old_weight_is_detected(name: str):
    trainer = {"0": 10 + 20 + 7, "": 3}
    workers = [{"l.0.q": 10, "l.0.norm": 7, "head": 3}, {"l.0.q": 20, "l.0.norm": 7, "head": 3}]
    workers[1][name] += 1
    assert differing_layers(trainer, workers) == ["layer 0"]


def test_a_weight_on_one_side_only_is_a_difference():
    assert differing_layers({"0": 1, "1": 2, "": 3}, [{"l.0.q": 1, "head": 4}]) == [
        "layer 1",
        "embedding, last norm or head",
    ]
