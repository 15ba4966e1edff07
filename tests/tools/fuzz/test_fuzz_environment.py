from __future__ import annotations

import sys

import pytest

from envtune.bfcl.benchmark import load_bfcl_tasks
from envtune.bfcl.toolbox import Toolbox
from tools.fuzz import environment as fuzz_environment
from tools.fuzz.environment import Costly, Tally, fuzz, report

EPISODES = 4


@pytest.fixture(scope="module")
def tasks():
    return load_bfcl_tasks()


def test_a_seed_determines_the_counts_of_every_kind_of_outcome(tasks) -> None:
    first, again, other = (fuzz(tasks, EPISODES, seed) for seed in (9, 9, 12))
    assert first.counts == again.counts != other.counts
    assert first.raised == []
    assert sum(first.counts["ends"].values()) == EPISODES
    assert sum(first.counts["responses"].values()) == sum(first.counts["actions"].values())
    assert sum(first.counts["responses"].values()) == first.timed + first.traced
    assert sum(first.counts["faults"].values()) == first.counts["actions"]["FormatError"] > 0
    assert all(first.counts["results"][name] > 0 for name in ("ok", "failed", "refused by a bound"))
    assert all(line in report(first) for line in ("raised: 0", "slowest step: 0.", f"ends: {EPISODES} ("))


def test_an_exception_is_printed_and_fails_the_run(tasks, monkeypatch: pytest.MonkeyPatch, capsys) -> None:
    monkeypatch.setattr(Toolbox, "_answer", lambda toolbox, call: 1 / 0)
    monkeypatch.setattr(sys, "argv", ["tools.fuzz.environment", "--episodes", "3"])
    assert fuzz_environment.main() == 1
    shown = capsys.readouterr().out
    assert "raised: 3" in shown
    assert "ZeroDivisionError" in shown


def test_a_step_of_a_second_or_of_64_megabytes_fails_the_run() -> None:
    assert Tally(slowest=Costly(0.999), largest=Costly(64 * 2**20 - 1)).passed
    assert not Tally(slowest=Costly(1.0)).passed
    assert not Tally(largest=Costly(64 * 2**20)).passed


def test_the_costliest_steps_are_measured(tasks, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fuzz_environment, "TRACED_SHARE", 0.5)
    tally = fuzz(tasks, 4, 9)
    assert tally.timed > 0
    assert 0 < tally.slowest.amount <= tally.seconds
    assert tally.traced > 0
    assert tally.largest.amount > 1_000
