from __future__ import annotations

import argparse

import pytest

from tools.bench.measuring import alternate, command_line, medians


def test_every_round_measures_all_ways_in_turn():
    order: list[str] = []

    def measure(way: str) -> int:
        order.append(way)
        return len(order)

    assert alternate(("a", "b"), 2, measure) == {"a": [1, 3], "b": [2, 4]}
    assert order == ["a", "b", "a", "b"]


def test_numbers_are_positive_unless_their_default_is_zero(capsys: pytest.CaptureFixture[str]):
    parser = command_line(None, rounds=(3, "how often"), seed=0)
    assert parser.parse_args(["--seed", "0"]) == argparse.Namespace(rounds=3, seed=0)
    with pytest.raises(SystemExit):
        parser.parse_args(["--rounds", "0"])
    assert "argument --rounds: 0 must be 1 or more" in capsys.readouterr().err


def test_medians_are_of_each_field():
    assert medians([{"a": 1, "b": 0.5}, {"a": 9, "b": 0.25}, {"a": 2, "b": 0.125}]) == {"a": 2, "b": 0.25}
