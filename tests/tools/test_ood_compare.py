"""Comparisons of records made by hand. Wilson's interval of 1 of 2 is 9.5 to 90.5 percent, of 2 of 2 34.2 to 100."""

from __future__ import annotations

import csv
import sys
from pathlib import Path

import pytest
from ended_command import status
from made_scores import record

from envtune.evaluation.ood.record import write_record
from tools import ood_compare


@pytest.fixture
def folders(tmp_path: Path) -> list[str]:
    """Base, stage 4, and stage 4 without hints, which was scored on one benchmark more."""
    write_record(tmp_path / "base", record("base", parts={"multi_step": {"a": 1.0, "b": 0.0}}))
    write_record(tmp_path / "four", record("stage-4", parts={"multi_step": {"a": 1.0, "b": 1.0}}))
    write_record(tmp_path / "plain", record("stage-4-no-hints", parts={"multi_step": {"a": 0.0, "b": 1.0}}))
    retail = record("stage-4-no-hints", "tau2_retail", {"retail": {"0": 1.0, "1": 0.0}})
    write_record(tmp_path / "plain", retail)
    return [str(tmp_path / name) for name in ("base", "four", "plain")]


def run(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    monkeypatch.setattr(sys, "argv", ["ood_compare.py", *arguments])
    return status(ood_compare.main)


def test_checkpoints_stand_under_each_other_with_differences_to_a_baseline(
    folders: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    output = tmp_path / "out"
    assert run(monkeypatch, *folders, "--baseline", "base", "--output", str(output)) == 0
    text = (output / "comparison.md").read_text(encoding="utf-8")
    assert text in capsys.readouterr().out
    rows = [line for line in text.splitlines() if line.startswith("|")]
    assert rows[0] == "| checkpoint | τ²-bench: retail | ACEBench agent: multi_step |"
    assert rows[2:5] == [
        "| base | - | 50.0 [9.5, 90.5] |",
        "| stage-4 | - | 100.0 [34.2, 100.0] |",
        "| stage-4-no-hints | 50.0 [9.5, 90.5] | 50.0 [9.5, 90.5] |",
    ]
    # Differences: the baseline has no retail, so that no checkpoint has a difference there.
    assert rows[5] == "| checkpoint | ACEBench agent: multi_step |"
    assert [row.split("[")[0] for row in rows[7:]] == ["| stage-4 | +50.0 ", "| stage-4-no-hints | +0.0 "]
    lines = list(csv.DictReader((output / "differences.csv").open(encoding="utf-8")))
    assert [(line["checkpoint"], line["difference"]) for line in lines] == [
        ("stage-4", "0.5"),
        ("stage-4-no-hints", "0.0"),
    ]
    assert len(list(csv.DictReader((output / "comparison.csv").open(encoding="utf-8")))) == 4


def test_without_a_baseline_there_are_no_differences(
    folders: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    assert run(monkeypatch, *folders, "--output", str(tmp_path / "out")) == 0
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["comparison.csv", "comparison.md"]


def test_what_keeps_rows_from_being_compared_stands_below_them(
    folders: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    write_record(tmp_path / "four", record("stage-4", user=None))
    assert run(monkeypatch, *folders[:2], "--output", str(tmp_path / "out")) == 0
    text = (tmp_path / "out" / "comparison.md").read_text(encoding="utf-8")
    assert "they differ in simulated user (base: gpt (temperature=0.0), stage-4: none)." in text


def test_mistakes_end_in_one_sentence(
    folders: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    assert run(monkeypatch, folders[0], folders[0]) == 1
    assert "is another folder of checkpoint base: give each checkpoint once" in capsys.readouterr().err
    assert run(monkeypatch, str(tmp_path / "nowhere")) == 1
    assert capsys.readouterr().err.startswith(f"ood_compare: {tmp_path / 'nowhere'} holds no scores")
