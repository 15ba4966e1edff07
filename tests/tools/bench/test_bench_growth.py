"""Fits and counts worked out on paper; no test depends on time."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

from tools.bench import growth, measuring
from tools.bench.growth import Point
from tools.bench.peer import work as peer_work


def test_the_exponent_is_the_slope_of_the_logarithms():
    assert growth.exponent([1, 2, 4], [3, 12, 48]) == pytest.approx(2)
    # Logarithms to the base of 2: 0, 1, 1 over 0, 1, 2.
    assert growth.exponent([1, 2, 4], [1, 2, 2]) == pytest.approx(0.5)


def test_every_turn_is_one_completion_and_every_token_is_fed_once():
    point = Point(turns=3, group_size=2, prompt=320, completion=4)
    measured = growth.measure(point, rounds=1)
    # Between two of an episode's three completions: an end token and the next user message of four words.
    between = 1 + len(peer_work.tiny_template().append(growth.WORD * 4))
    response = 3 * 4 + 2 * between
    assert measured["tokens"] == 2 * (320 + response)
    assert measured["different_tokens"] == 320 + 2 * response
    # No token follows the last one of an episode.
    assert measured["fed_tokens"] == 320 + 2 * response - 2


def test_a_prompt_length_below_the_system_prompt_is_refused_in_one_sentence():
    with pytest.raises(SystemExit, match=r"error: a prompt of 10 tokens is too short: give at least \d+$") as end:
        growth.task_of(Point(prompt=10), peer_work.tiny_template())
    least = int(str(end.value.code).split()[-1])
    task = growth.task_of(Point(prompt=least), peer_work.tiny_template())
    assert len(peer_work.tiny_template().open(task.turns[0].message, task.tools)) == least


def test_a_plot_without_matplotlib_is_refused_before_measuring(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(sys, "argv", ["tools.bench.growth", "--plot", "growth.png"])
    monkeypatch.setattr(measuring, "find_spec", lambda name: None)
    with pytest.raises(SystemExit, match="error: a plot needs matplotlib: pip install"):
        growth.main()


def test_the_plot_shows_every_axis(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    pytest.importorskip("matplotlib")
    from matplotlib.figure import Figure

    drawn: list[Any] = []
    monkeypatch.setattr(Figure, "savefig", lambda figure, path, **_: drawn.append(figure))
    seconds = dict.fromkeys(growth.MEASURES, 2.0)
    points = [{"turns": turns, "prompt": 100 * turns, **seconds} for turns in (1, 2)]
    grown = {"points": points, "exponents": seconds}
    growth.plot({"turns": grown, "prompt": grown}, tmp_path / "growth.png")
    (figure,) = drawn
    assert [ax.get_xlabel() for ax in figure.axes] == ["turns of an episode", "tokens of the prompt"]
    assert [list(ax.lines[0].get_xdata()) for ax in figure.axes] == [[1, 2], [100, 200]]
