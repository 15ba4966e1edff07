"""Sampler, packed update and the untouched model compute the same log-probs with weights that somebody pretrained."""

from __future__ import annotations

from functools import cache

import pytest
import torch
from smollm2 import FOLDER, TEMPERATURE, bare_logprobs, bare_model, played_group

from envtune.grpo.batch import TrainBatch
from envtune.training.model.policy import Policy
from envtune.training.model.weights import load_model
from envtune.trajectory import TokenRecord

NATS = 1e-3


@cache
def episodes(dtype: str) -> list[TokenRecord]:
    return played_group(load_model(str(FOLDER), dtype=dtype))


@cache
def bare(played: str, computed: torch.dtype) -> torch.Tensor:
    """Return the log-probs of the episodes that were played in one dtype from the untouched model in another."""
    return bare_logprobs(bare_model(computed), episodes(played))


def policy_logprobs(records: list[TokenRecord], dtype: str, autocast: bool = False) -> torch.Tensor:
    """Return those of the packed update in training mode, with gradient and checkpointing."""
    policy = Policy(load_model(str(FOLDER), dtype=dtype, gradient_checkpointing=True)).train()
    with torch.autocast("cpu", torch.bfloat16, enabled=autocast):
        found = policy(TrainBatch.from_records(records, TEMPERATURE)).logprobs
    assert found.requires_grad
    return found.detach()


def sampled_logprobs(records: list[TokenRecord]) -> torch.Tensor:
    return TrainBatch.from_records(records, TEMPERATURE).behaviour_logprobs


def test_float32_agrees_within_a_thousandth_of_a_nat():
    records = episodes("float32")
    expected = bare("float32", torch.float32)
    assert len(expected) > 40
    for found in (sampled_logprobs(records), policy_logprobs(records, "float32")):
        torch.testing.assert_close(found, expected, atol=NATS, rtol=0)


@pytest.mark.parametrize("way", ["sampler", "update", "update in autocast"])
def test_bfloat16_differs_from_float32_as_much_as_the_untouched_model_in_bfloat16_does(way: str):
    records = episodes("bfloat16")
    exact, rounded = (bare("bfloat16", dtype) for dtype in (torch.float32, torch.bfloat16))
    if way == "sampler":
        found = sampled_logprobs(records)
    else:
        autocast = "autocast" in way
        found = policy_logprobs(records, "float32" if autocast else "bfloat16", autocast)
    rounding = (rounded - exact).abs()
    # Rounding is far above what float32 allows: otherwise the comparison would be one of float32 with itself.
    assert rounding.mean() > 10 * NATS
    assert (found - exact).abs().mean() < 1.5 * rounding.mean()
    assert (found - exact).abs().max() < 2 * rounding.max()
