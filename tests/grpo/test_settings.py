from __future__ import annotations

from dataclasses import asdict
from types import SimpleNamespace
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


@pytest.mark.parametrize(
    "edge",
    [
        {"group_size": 2},
        {"beta": 0.0},
        {"entropy_coef": 0.0},
        {"max_refills": 0},
        {"tasks_per_update": 1},
        {"max_tokens_per_batch": 1},
        {"aggregation": "token-mean"},
        {"importance": "token"},
        {"importance": "sequence"},
        {"importance": "mask", "importance_cap": 1.01},
    ],
)
def test_the_edge_of_a_range_is_allowed(edge: dict[str, Any]):
    GRPOSettings(**edge)


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        ({"group_size": 1}, "grpo.group_size=1 must be at least 2: an advantage is relative to the rest of the group"),
        ({"tasks_per_update": 0}, "grpo.tasks_per_update=0 must be at least 1"),
        ({"clip_low": 1.0}, "grpo.clip_low=1.0 must be between 0 and 1"),
        ({"clip_low": 0.0}, "grpo.clip_low=0.0 must be between 0 and 1"),
        ({"clip_high": 0.0}, "grpo.clip_high=0.0 must be above 0"),
        ({"dual_clip": 1.0}, "grpo.dual_clip=1.0 must be above 1"),
        ({"beta": -0.1}, "grpo.beta=-0.1 must be at least 0"),
        ({"beta": float("nan")}, "grpo.beta=nan must be at least 0"),
        ({"entropy_coef": -1.0}, "grpo.entropy_coef=-1.0 must be at least 0"),
        ({"gradient_clip": 0.0}, "grpo.gradient_clip=0.0 must be above 0"),
        ({"max_refills": -1}, "grpo.max_refills=-1 must be at least 0"),
        ({"max_tokens_per_batch": 0}, "grpo.max_tokens_per_batch=0 must be at least 1"),
        ({"importance_cap": 1.0}, "grpo.importance_cap=1.0 must be above 1 and finite"),
        ({"importance_cap": float("inf")}, "grpo.importance_cap=inf must be above 1 and finite"),
        ({"importance": "tis"}, "grpo.importance='tis' must be one of none, token, sequence, mask"),
        ({"aggregation": "mean"}, "grpo.aggregation='mean' must be one of seq-mean-token-mean, token-mean"),
    ],
)
def test_a_value_out_of_its_range_is_named_with_what_is_allowed(wrong: dict[str, Any], sentence: str):
    with pytest.raises(UserError) as raised:
        GRPOSettings(**wrong)
    assert str(raised.value) == sentence


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        ({"group_size": 2.5}, "grpo.group_size=2.5 must be a whole number"),
        ({"tasks_per_update": True}, "grpo.tasks_per_update=True must be a whole number"),
        ({"max_refills": None}, "grpo.max_refills=None must be a whole number"),
        ({"beta": "high"}, "grpo.beta='high' must be a number"),
        ({"importance": None}, "grpo.importance=None must be a name"),
        ({"importance_cap": "2x"}, "grpo.importance_cap='2x' must be a number"),
        ({"filter_zero_variance": 1}, "grpo.filter_zero_variance=1 must be true or false"),
    ],
)
def test_a_value_of_the_wrong_kind_is_named(wrong: dict[str, Any], sentence: str):
    # Not by the constructor, whose annotations are checked under the tests alone.
    settings = SimpleNamespace(**(asdict(GRPOSettings()) | wrong))
    with pytest.raises(UserError) as raised:
        GRPOSettings.__post_init__(settings)
    assert str(raised.value) == sentence


def test_a_whole_number_will_do_for_a_fraction():
    GRPOSettings.__post_init__(SimpleNamespace(**(asdict(GRPOSettings()) | {"beta": 0, "gradient_clip": 1})))
