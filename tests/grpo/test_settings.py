from __future__ import annotations

from math import inf, nan
from typing import Any

import pytest

from envtune.errors import UserError
from envtune.grpo.settings import GRPOSettings


def test_the_defaults_are_the_papers():
    settings = GRPOSettings()
    assert (settings.group_size, settings.tasks_per_update) == (16, 32)
    assert (settings.clip_low, settings.clip_high, settings.dual_clip) == (0.2, 0.28, 10.0)
    assert (settings.beta, settings.entropy_coef, settings.gradient_clip) == (0.1, 0.001, 1.0)
    assert (settings.aggregation, settings.max_tokens_per_batch) == ("seq-mean-token-mean", 65536)
    assert not settings.filter_zero_variance
    assert settings.importance == "none"
    # Of the reference code.
    assert settings.kl_clamp == 10.0


@pytest.mark.parametrize(
    "edge",
    [
        {"group_size": 2},
        {"beta": 0.0},
        {"entropy_coef": 0.0},
        {"max_refills": 0},
        {"tasks_per_update": 1},
        {"max_tokens_per_batch": 1},
        {"dual_clip": inf},
        {"gradient_clip": inf},
        {"aggregation": "token-mean"},
        {"kl_clamp": None},
        {"importance": "token"},
        {"importance": "sequence"},
        {"importance": "mask", "importance_cap": 1.01},
    ],
)
def test_the_bounds_of_a_range_are_allowed(edge: dict[str, Any]):
    GRPOSettings(**edge)


@pytest.mark.parametrize(
    ("wrong", "allowed"),
    [
        ({"group_size": 1}, "whole number of at least 2: an advantage is relative to the rest of the group"),
        ({"tasks_per_update": 0}, "whole number of at least 1"),
        ({"clip_low": 1.0}, "number above 0 and below 1"),
        ({"clip_low": 0.0}, "number above 0 and below 1"),
        ({"clip_high": 0.0}, "number above 0"),
        ({"dual_clip": 1.0}, "number above 1"),
        ({"beta": -0.1}, "number of at least 0"),
        ({"beta": nan}, "finite number of at least 0"),
        ({"entropy_coef": -1.0}, "number of at least 0"),
        ({"gradient_clip": 0.0}, "number above 0: the total 2-norm"),
        ({"kl_clamp": 0.0}, "number above 0 or null: nats; null for the plain formula"),
        ({"max_refills": -1}, "whole number of at least 0"),
        ({"max_tokens_per_batch": 0}, "whole number of at least 1"),
        ({"importance_cap": 1.0}, "number above 1"),
        ({"importance_cap": inf}, "finite number above 1"),
    ],
)
def test_a_value_out_of_range_is_refused_with_the_allowed_range(wrong: dict[str, Any], allowed: str):
    ((name, value),) = wrong.items()
    with pytest.raises(UserError) as raised:
        GRPOSettings(**wrong)
    assert str(raised.value) == f"{name}={value} must be a {allowed}"


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        ({"importance": "tis"}, "importance='tis' must be one of none, token, sequence, mask"),
        ({"importance": None}, "importance=null must be one of none, token, sequence, mask"),
        (
            {"aggregation": "mean"},
            "aggregation='mean' must be one of seq-mean-token-mean, seq-mean-token-sum, "
            "seq-mean-token-sum-norm, token-mean",
        ),
        ({"tasks_per_update": True}, "tasks_per_update=true must be a whole number of at least 1"),
    ],
)
def test_a_value_of_the_wrong_type_is_refused(wrong: dict[str, Any], sentence: str):
    with pytest.raises(UserError) as raised:
        GRPOSettings(**wrong)
    assert str(raised.value) == sentence
