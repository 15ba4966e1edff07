from __future__ import annotations

from math import log
from typing import Any

import pytest
import torch

from envtune.grpo.loss import LossParts
from envtune.training.reporting.update_statistics import UpdateStatistics


def parts(**values: float) -> LossParts:
    names = ("total", "policy", "kl", "entropy", "clip_low", "clip_high", "clip_dual", "ratio")
    return LossParts(**{name: torch.tensor(values.get(name, 0.0)) for name in names})


def measured(*rows: list[float], turns: list[list[int]] | None = None, **importance: Any) -> dict[str, float]:
    """One micro-batch for each row of ratios policy / behaviour."""
    statistics = UpdateStatistics(**importance)
    for row, its_turns in zip(rows, turns or [[0] * len(row) for row in rows], strict=True):
        ratios, behaviour = torch.tensor(row), torch.full((len(row),), -1.0)
        episodes = torch.zeros(len(row), dtype=torch.int64)
        weights = torch.full((len(row),), 1 / sum(map(len, rows)))
        of_tokens = torch.tensor(its_turns, dtype=torch.int64)
        statistics.add(parts(), behaviour + ratios.log(), behaviour, weights, episodes, of_tokens)
    return {name: value for name, (value,) in statistics.samples(beta=0.1, entropy_coef=0.0).items()}


def test_parts_of_the_loss_add_up_over_micro_batches():
    statistics = UpdateStatistics()
    nothing, of_none = torch.zeros(0), torch.zeros(0, dtype=torch.int64)
    for kl in (0.25, 0.5):
        statistics.add(
            parts(total=1.0, policy=2.0, kl=kl, entropy=1.5, clip_low=0.125, clip_high=0.25, clip_dual=0.5),
            nothing,
            nothing,
            nothing,
            of_none,
            of_none,
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


def test_means_over_tokens_are_means_also_where_the_loss_sums_over_them():
    # Two tokens of weight 1: the loss adds up their KL of 0.25 + 0.5, the curve shows their mean.
    statistics = UpdateStatistics()
    for kl in (0.25, 0.5):
        one = torch.zeros(1)
        statistics.add(parts(kl=kl, total=kl), one, one, one + 1, one.long(), one.long())
    values = statistics.samples(beta=1.0, entropy_coef=0.0)
    assert (values["kl"], values["loss/kl"], values["loss/total"]) == ([0.375], [0.75], [0.75])


def test_agreement_is_over_the_sampled_tokens_of_all_micro_batches():
    values = measured([1.0, 2.0], [0.5])
    assert values["sampling/logp_diff_mean"] == pytest.approx(2 * log(2) / 3)
    assert values["sampling/logp_diff_max"] == pytest.approx(log(2))
    assert values["sampling/is_ratio_mean"] == pytest.approx(3.5 / 3)
    assert values["sampling/is_ratio_max"] == pytest.approx(2)
    # (1 + 2 + 0.5)^2 / (1 + 4 + 0.25) / 3 tokens.
    assert values["sampling/ess"] == pytest.approx(3.5**2 / 5.25 / 3)


def test_equal_log_probs_agree_fully():
    values = measured([1.0, 1.0, 1.0])
    assert values["sampling/ess"] == values["sampling/ess_sequence"] == 1
    assert values["sampling/logp_diff_max"] == 0


def test_the_effective_number_of_episodes_is_that_of_their_products():
    # Products 2 * 3 = 6 and 2: (6 + 2)^2 / (36 + 4) / 2 episodes. An episode without a sampled token is none.
    values = measured([2.0, 3.0], [2.0], [])
    assert values["sampling/ess_sequence"] == pytest.approx(64 / 40 / 2)


def test_the_effective_share_is_finite_where_the_ratio_of_an_episode_overflows():
    # 1.5 to the 2000th is above the greatest float64; against it the other episode counts for nothing.
    assert measured([1.5] * 2000, [1.0])["sampling/ess_sequence"] == pytest.approx(0.5)


def test_the_mismatch_is_logged_by_turn():
    # Turn 0 holds the ratios 2 and 1 of two episodes, turn 2 the ratio 0.5.
    values = measured([2.0, 0.5], [1.0], turns=[[0, 2], [0]])
    by_turn = {name: value for name, value in values.items() if "turn_" in name}
    assert by_turn == {
        "sampling/logp_diff_mean/turn_0": pytest.approx(log(2) / 2),
        "sampling/ess/turn_0": pytest.approx(9 / 5 / 2),
        "sampling/logp_diff_mean/turn_2": pytest.approx(log(2)),
        "sampling/ess/turn_2": 1,
    }


@pytest.mark.parametrize(
    ("importance", "weights", "bounded"),
    [
        # Ratios 4 and 0.5 of one episode, whose product is 2, and 1 of another; the cap is 3.
        ("token", [3.0, 0.5, 1.0], 1 / 3),
        ("sequence", [2.0, 2.0, 1.0], 0.0),
        ("mask", [0.0, 0.5, 1.0], 1 / 3),
    ],
)
def test_a_correction_logs_mean_weight_capped_share_and_effective_sample_size(
    importance: str, weights: list[float], bounded: float
):
    values = measured([4.0, 0.5], [1.0], importance=importance, cap=3.0)
    assert values["importance/mean"] == pytest.approx(sum(weights) / 3)
    assert values["importance/bounded"] == pytest.approx(bounded)
    assert values["importance/ess"] == pytest.approx(sum(weights) ** 2 / sum(w * w for w in weights) / 3)
    # The agreement is of the ratios as they are.
    assert values["sampling/is_ratio_max"] == pytest.approx(4)


def test_without_a_correction_no_weights_are_logged():
    assert not any(name.startswith("importance/") for name in measured([4.0]))
