"""The two rules on series made by hand."""

from __future__ import annotations

import pytest

from envtune.errors import UserError
from envtune.training.curriculum.transition import CollapseGuard, TransitionRule

# Two validations are compared with the two before them.
RULE = TransitionRule(window=2, tolerance=0.01, gradient_window=10, max_spread=0.5, min_updates=10)
STEADY = [1.0] * 10
# 1, 1.1, … 1.9: the tenths end at 1.09 and 1.81, the median is 1.45: (1.81 - 1.09) / 1.45 = 0.497.
RISING = [1 + index / 10 for index in range(10)]


def test_a_stage_is_over_when_validation_stands_still_and_gradients_are_steady() -> None:
    signals = RULE.judge(10, [0.10, 0.30, 0.305, 0.30], STEADY)
    # The best of the last two is 0.305, of the two before 0.30.
    assert signals.gain == pytest.approx(0.005)
    assert signals.spread == 0
    assert signals.reason is not None
    assert "validation changed by +0.005 in its last 2 rounds (up to ±0.01 is a plateau)" in signals.reason


@pytest.mark.parametrize(
    ("updates", "validations", "norms"),
    [
        (9, [0.3, 0.3, 0.3], STEADY),
        (10, [0.30, 0.30, 0.32], STEADY),
        (10, [0.30, 0.30, 0.28, 0.28], STEADY),
        (10, [0.3, 0.3], STEADY),
        (10, [0.3, 0.3, 0.3], STEADY[1:]),
        (10, [0.3, 0.3, 0.3], [1.0, 4.0] * 5),
    ],
    ids=["too early", "still gaining", "falling", "too few validations", "too few updates", "gradients jump"],
)
def test_a_stage_continues_until_all_conditions_hold(updates: int, validations: list, norms: list) -> None:
    assert RULE.judge(updates, validations, norms).reason is None


def test_the_spread_is_the_middle_eighty_percent_over_the_median_of_the_newest_norms() -> None:
    assert RULE.judge(10, [], [99.0, *RISING]).spread == pytest.approx((1.81 - 1.09) / 1.45)


def test_a_fall_of_validation_is_a_negative_gain_and_not_a_plateau() -> None:
    # The best of the last two is 0.2, of the one before 0.4.
    signals = RULE.judge(10, [0.4, 0.2, 0.1], STEADY)
    assert signals.gain == pytest.approx(-0.2)
    assert signals.reason is None


def test_a_validation_that_keeps_falling_ends_a_stage_only_at_max_updates() -> None:
    falling = [0.9 - index / 20 for index in range(16)]
    rule = TransitionRule(window=2, gradient_window=10, min_updates=10, max_updates=16)
    reasons = [rule.judge(n, falling[:n], STEADY).reason for n in range(10, 17)]
    assert reasons == [*[None] * 6, "16 updates are the most that this stage may take"]


def test_a_validation_that_has_fallen_and_stands_still_is_a_plateau_once_the_fall_is_two_windows_ago() -> None:
    series = [0.5, 0.5, 0.3, 0.3, 0.3, 0.3]
    gains = [RULE.judge(10, series[:n], STEADY).gain for n in range(3, 7)]
    assert gains == [pytest.approx(gain, abs=1e-9) for gain in (0, -0.2, -0.2, 0)]
    assert [RULE.judge(10, series[:n], STEADY).reason is not None for n in range(3, 7)] == [True, False, False, True]


def test_a_stage_is_over_at_max_updates_regardless_of_the_signals() -> None:
    rule = TransitionRule(min_updates=0, max_updates=5)
    assert rule.judge(4, [], []).reason is None
    assert rule.judge(5, [], []).reason == "5 updates are the most that this stage may take"


def test_a_gradient_far_above_the_median_before_it_is_a_collapse() -> None:
    guard = CollapseGuard(max_gradient_ratio=10, window=3)
    assert guard.judge([1.0, 2.0, 3.0, 20.0], kl=0.1) is None
    assert guard.judge([1.0, 2.0, 3.0, 21.0], kl=0.1) == "the gradient norm is 10 times its median, more than 10"
    # Only two come before it.
    assert guard.judge([2.0, 3.0, 99.0], kl=0.1) is None


def test_a_gradient_that_is_not_finite_is_a_collapse_from_the_first_update_on() -> None:
    assert CollapseGuard().judge([float("nan")], kl=float("nan")) == "the gradient norm is nan"
    assert CollapseGuard().judge([1.0, float("inf")], kl=0.1) == "the gradient norm is inf"
    assert CollapseGuard().judge([float("inf"), 1.0], kl=0.1) is None


def test_a_large_kl_is_a_collapse_from_the_first_update_on() -> None:
    assert CollapseGuard(max_kl=2).judge([1.0], kl=2.5) == "KL 2.50 nats a token is above 2"
    assert CollapseGuard(max_kl=2).judge([1.0], kl=2.0) is None


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"window": 0}, "window=0 must be a whole number of at least 1: validations"),
        ({"gradient_window": 5}, "gradient_window=5 must be a whole number of at least 10: updates"),
        ({"max_updates": 5}, "max_updates=5 must be min_updates=20 or more"),
    ],
)
def test_settings_out_of_range_are_user_errors(settings: dict, message: str) -> None:
    with pytest.raises(UserError, match=message):
        TransitionRule(**settings)
    with pytest.raises(UserError, match="max_kl=0 must be a number above 0"):
        CollapseGuard(max_kl=0)


def test_the_description_of_the_rule_has_both_signals() -> None:
    assert RULE.describe(4, RULE.judge(4, [0.1, 0.3], [])) == (
        "gain of validation unknown yet (plateau: within ±0.01), spread of the gradient norm unknown yet (stable: "
        "at most 0.5), 4 updates (at least 10)"
    )
    assert RULE.describe(10, RULE.judge(10, [0.1, 0.3, 0.4], STEADY)).startswith("gain of validation +0.300 (plateau")
