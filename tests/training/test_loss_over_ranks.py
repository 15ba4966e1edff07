"""What one process would make of all groups, made by two: on paper, with unequal numbers of tokens and sequences."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from envtune.grpo.loss import AGGREGATIONS, TOKEN_MEAN, averaged_count, token_weights
from envtune.training.distributed import gradient_average
from envtune.training.distributed.gradient_average import share_of_mean

# The episodes of sampled tokens: three in two episodes, and one in the only episode with any.
RANKS = (torch.tensor([0, 0, 1]), torch.tensor([1]))


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
    counts = [averaged_count(episodes, aggregation) for episodes in RANKS]
    assert counts == ([3, 1] if aggregation == TOKEN_MEAN else [2, 1])
    of_ranks = [
        token_weights(episodes, aggregation, max_tokens=5) * share / 2
        for episodes, share in zip(RANKS, shares(monkeypatch, *counts), strict=True)
    ]
    together = torch.cat([RANKS[0], RANKS[1] + 2])
    torch.testing.assert_close(torch.cat(of_ranks), token_weights(together, aggregation, max_tokens=5))
