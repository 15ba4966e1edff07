from __future__ import annotations

import pytest

from envtune.statistics.intervals import bootstrap, estimate, wilson


def test_wilsons_interval_of_five_out_of_ten_is_the_hand_computed_one():
    # z² = 3.841459: (5 + 1.920729 ± 1.959964 √(2.5 + 0.960365)) / 13.841459 = (6.920729 ± 3.645946) / 13.841459
    assert wilson(0.5, 10) == pytest.approx((0.236593, 0.763407), abs=1e-6)


def test_wilsons_interval_of_eight_out_of_ten_is_the_published_one():
    assert wilson(0.8, 10) == pytest.approx((0.4902, 0.9433), abs=5e-5)


def test_no_success_in_ten_still_leaves_room_above_zero():
    # p = 0: the middle and the half width are both z² / 2, so the bounds are 0 and z² / (n + z²).
    low, high = wilson(0.0, 10)
    assert low == 0.0
    assert high == pytest.approx(3.841459 / 13.841459, abs=1e-6)
    assert wilson(1.0, 10) == pytest.approx((1 - high, 1.0))


def test_the_bootstrap_of_two_values_spans_both():
    # Resamples of two: mean 0 with chance 1/4, 0.25 with 1/2, 0.5 with 1/4; both tails hold more than 2.5%.
    assert bootstrap([0.0, 0.5]) == (0.0, 0.5)


def test_the_bootstrap_of_many_values_is_the_normal_interval():
    # Standard deviation 0.25, so that of the mean of 400 is 0.0125, and the half width 1.96 * 0.0125 = 0.0245.
    low, high = bootstrap([0.25] * 200 + [0.75] * 200)
    assert (low, high) == pytest.approx((0.4755, 0.5245), abs=1.5e-3)


def test_the_same_values_give_the_same_interval():
    values = [0.0, 0.2, 0.4, 1.0] * 5
    assert bootstrap(values) == bootstrap(values)


def test_tasks_that_wholly_pass_or_fail_get_wilsons_interval_and_others_the_bootstrap():
    assert estimate([1.0, 0.0]).method == "wilson"
    assert estimate([1.0, 0.0, 0.5]).method == "bootstrap"


def test_values_that_are_all_alike_get_an_interval_with_width():
    alike = estimate([0.5] * 10)
    assert (alike.mean, alike.method) == (0.5, "wilson")
    assert (alike.low, alike.high) == wilson(0.5, 10)


@pytest.mark.parametrize("values", [[], [0.5, 1.5], [-0.1]])
def test_values_that_are_no_shares_are_refused(values):
    with pytest.raises(ValueError, match="must be one or more, each in 0 to 1"):
        estimate(values)
