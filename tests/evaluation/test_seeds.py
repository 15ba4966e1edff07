"""Student's intervals against the published table of quantiles and numbers worked out on paper."""

from __future__ import annotations

import pytest

from envtune.statistics.seeds import SeedMean, mean_over_seeds, student_quantile


@pytest.mark.parametrize(
    ("freedom", "quantile"),
    [(1, 12.70620), (2, 4.302653), (3, 3.182446), (4, 2.776445), (9, 2.262157), (30, 2.042272), (101, 1.983731)],
)
def test_quantiles_are_those_of_the_published_table(freedom: int, quantile: float):
    assert student_quantile(freedom) == pytest.approx(quantile, rel=1e-6)


def test_the_interval_of_three_seeds():
    # s = 0.1, t = 4.302653: 4.302653 * 0.1 / sqrt 3.
    found = mean_over_seeds([0.2, 0.3, 0.4])
    assert (found.mean, found.half, found.seeds) == (pytest.approx(0.3), pytest.approx(0.2484138), 3)
    assert (found.low, found.high) == (pytest.approx(0.0515862), pytest.approx(0.5484138))


def test_one_seed_has_no_interval():
    assert mean_over_seeds([0.2]) == SeedMean(0.2, None, 1)
    assert mean_over_seeds([0.2]).low is None
