from __future__ import annotations

from math import log

import pytest
import torch

from envtune.grpo.loss import LossParts
from envtune.training.update_statistics import UpdateStatistics


def parts(**values: float) -> LossParts:
    names = ("total", "policy", "kl", "entropy", "clip_low", "clip_high", "clip_dual", "ratio")
    return LossParts(**{name: torch.tensor(values.get(name, 0.0)) for name in names})


def statistics_of(*rows: list[float]) -> UpdateStatistics:
    """One micro-batch for each row of ratios policy / behaviour; None-sampled positions hold NaN on both sides."""
    statistics = UpdateStatistics()
    for row in rows:
        ratios = torch.tensor([[float("nan"), *row]])
        behaviour = torch.tensor([[float("nan"), *[-1.0] * len(row)]])
        statistics.add(parts(), behaviour + ratios.log(), behaviour, ~ratios.isnan())
    return statistics


def test_parts_of_the_loss_add_up_over_micro_batches():
    statistics = UpdateStatistics()
    nothing = torch.zeros(1, 1)
    for kl in (0.25, 0.5):
        statistics.add(
            parts(total=1.0, policy=2.0, kl=kl, entropy=1.5, clip_low=0.125, clip_high=0.25, clip_dual=0.5),
            nothing,
            nothing,
            torch.zeros(1, 1, dtype=torch.bool),
        )
    assert statistics.samples(beta=0.1, entropy_coef=0.01) == {
        "loss/total": [2],
        "loss/policy": [4],
        "kl": [0.75],
        "entropy": [3],
        "clip_ratio/low": [0.25],
        "clip_ratio/high": [0.5],
        "clip_ratio/dual": [1],
        "loss/kl": [pytest.approx(0.075)],
        "loss/entropy": [pytest.approx(-0.03)],
    }


def test_agreement_is_over_the_sampled_tokens_of_all_micro_batches():
    samples = statistics_of([1.0, 2.0], [0.5]).samples(beta=0.1, entropy_coef=0.0)
    values = {name: value for name, (value,) in samples.items()}
    assert values["sampling/logp_diff_mean"] == pytest.approx(2 * log(2) / 3)
    assert values["sampling/logp_diff_max"] == pytest.approx(log(2))
    assert values["sampling/is_ratio_mean"] == pytest.approx(3.5 / 3)
    assert values["sampling/is_ratio_max"] == pytest.approx(2)
    # (1 + 2 + 0.5)^2 / (1 + 4 + 0.25) / 3 tokens.
    assert values["sampling/ess"] == pytest.approx(3.5**2 / 5.25 / 3)


def test_equal_log_probs_agree_fully():
    samples = statistics_of([1.0, 1.0, 1.0]).samples(beta=0.1, entropy_coef=0.0)
    assert samples["sampling/ess"] == [1]
    assert samples["sampling/logp_diff_max"] == [0]
