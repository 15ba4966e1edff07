"""Intervals of paired differences, worked out on paper. z² = 3.841459."""

from __future__ import annotations

import pytest

from envtune.statistics.paired import paired_difference


def near(value: float) -> object:
    return pytest.approx(value, abs=1e-5)


def test_two_that_pass_nothing_may_still_differ_by_what_either_could_pass():
    # Wilson's upper bound of 0 of 10 is z² / (10 + z²) = 0.277533, and φ of two constants counts as 0.
    found = paired_difference([0.0] * 10, [0.0] * 10)
    assert (found.mean, found.low, found.high) == (0.0, near(-0.277533), near(0.277533))
    assert found.method == "newcombe"


def test_passing_the_same_tasks_narrows_the_interval():
    # Table 2, 0, 0, 2: φ = (2 · 2 - 4 / 2) / √(2 · 2 · 2 · 2) = 0.5. Wilson's half width h of 2 of 4 is
    # z √(4 / 4 + z² / 4) / (4 + z²) = 0.349960, and the interval's is √(h² - 2 · 0.5 h² + h²) = h.
    found = paired_difference([1.0, 1.0, 0.0, 0.0], [1.0, 1.0, 0.0, 0.0])
    assert (found.low, found.high) == (near(-0.349960), near(0.349960))


def test_passing_other_tasks_widens_it():
    # Table 0, 2, 2, 0: φ = -4 / 4 = -1, not corrected, so that the half width is √(h² + 2 h² + h²) = 2 h.
    found = paired_difference([1.0, 1.0, 0.0, 0.0], [0.0, 0.0, 1.0, 1.0])
    assert (found.mean, found.low, found.high) == (0.0, near(-0.699920), near(0.699920))


def test_a_difference_has_the_sign_of_the_first_and_stays_within_1():
    # √2 · 0.277533 = 0.392491 below 1; above it there is nothing.
    found = paired_difference([1.0] * 10, [0.0] * 10)
    assert (found.mean, found.low, found.high) == (1.0, near(0.607509), 1.0)
    other_way = paired_difference([0.0] * 10, [1.0] * 10)
    assert (other_way.mean, other_way.low, other_way.high) == (-1.0, -1.0, near(-0.607509))


def test_equal_means_of_several_episodes_get_the_interval_of_half_moved_back():
    # (1 + 0.5 - 0.5) / 2 = 0.5 twice. Wilson's half width of a half of 2: z √(2 / 4 + z² / 4) / (2 + z²) = 0.405465.
    found = paired_difference([0.5, 0.5], [0.5, 0.5])
    assert (found.mean, found.low, found.high) == (0.0, near(-0.810931), near(0.810931))
    assert found.method == "wilson"


def test_means_of_several_episodes_are_resampled_by_task():
    # Differences 0.5 and 0: a resample of two is both 0, both 0.5 or one each, so that 95% go from 0 to 0.5.
    found = paired_difference([0.5, 0.5], [0.0, 0.5])
    assert (found.mean, found.low, found.high, found.method) == (0.25, 0.0, 0.5, "bootstrap")


def test_every_task_needs_both_values():
    with pytest.raises(ValueError, match="2 values and 1 others must be as many"):
        paired_difference([0.0, 1.0], [0.0])
