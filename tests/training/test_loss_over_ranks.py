"""What one process would make of all groups, made by two: on paper, with unequal numbers of tokens and sequences."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from envtune.grpo.loss import AGGREGATIONS, TOKEN_MEAN, averaged_count, token_weights
from envtune.training.distributed import gradient_average
from envtune.training.distributed.gradient_average import share_of_mean

# Three sampled tokens in two rows, and one in the only row with any.
RANKS = (torch.tensor([[False, True, True], [False, True, False]]), torch.tensor([[False] * 3, [False, True, False]]))


def shares(monkeypatch: pytest.MonkeyPatch, *counts: int) -> list[float]:
    monkeypatch.setattr(gradient_average, "gather", lambda _: list(counts))
    return [share_of_mean(count) for count in counts]


def test_a_rank_weighs_by_its_share_of_all_tokens(monkeypatch: pytest.MonkeyPatch):
    # 3 and 1 of a mean of 2.
    assert shares(monkeypatch, 3, 1) == [1.5, 0.5]
    assert shares(monkeypatch, 7) == [1.0]
    assert shares(monkeypatch, 0, 0) == [0.0, 0.0]


@pytest.mark.parametrize("aggregation", AGGREGATIONS)
def test_weights_averaged_over_ranks_are_those_of_one_rank(monkeypatch: pytest.MonkeyPatch, aggregation: Any):
    counts = [int(averaged_count(mask, aggregation)) for mask in RANKS]
    assert counts == ([3, 1] if aggregation == TOKEN_MEAN else [2, 1])
    of_ranks = [
        token_weights(mask, aggregation) * share / 2
        for mask, share in zip(RANKS, shares(monkeypatch, *counts), strict=True)
    ]
    torch.testing.assert_close(torch.cat(of_ranks), token_weights(torch.cat(RANKS), aggregation))
