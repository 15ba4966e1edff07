from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from envtune import trajectory_file
from envtune.task import ToolCall
from envtune.trajectory import EpisodeEnd, Trajectory, Turn, TurnEnd, TurnVerdict

ROOT = Path(__file__).parents[2]


def _run(path: Path, **passed: bool) -> Path:
    """A trajectory file of episodes of one turn, which passed or lacks its call."""
    trajectory_file.write(path, [trajectory_file.to_json(_played(task, ok)) for task, ok in passed.items()])
    return path


def _played(task: str, ok: bool) -> Trajectory:
    verdict = TurnVerdict(ok, ok, called=False, expects_answer=False, answered=True)
    turn = Turn("Look.", (ToolCall("ls", {}),), (), TurnEnd.ANSWERED, verdict)
    return Trajectory(task, "base", 1, (turn,), EpisodeEnd.TERMINATED)


def _diagnose(*paths: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "tools/diagnose.py", *map(str, paths)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, encoding="utf-8", check=False)


def _row(shown: str, label: str) -> list[str]:
    return next(line.strip("│ ").split("│") for line in shown.splitlines() if label in line)


def test_one_run_is_shown_with_intervals(tmp_path: Path):
    done = _diagnose(_run(tmp_path / "a.jsonl", t_0=True, t_1=False))
    assert done.returncode == 0, done.stderr
    assert [cell.split()[0] for cell in _row(done.stdout, "missing_tool_call")[1:]] == ["50.0", "50.0"]
    assert f"2 episodes of {tmp_path / 'a.jsonl'}" in done.stdout


def test_two_runs_are_compared_on_the_tasks_of_both(tmp_path: Path):
    before = _run(tmp_path / "before.jsonl", t_0=False, t_1=False, t_2=False)
    done = _diagnose(before, _run(tmp_path / "after.jsonl", t_1=False, t_0=True))
    assert done.returncode == 0, done.stderr
    row = [cell.split()[0] for cell in _row(done.stdout, "missing_tool_call")[1:]]
    assert row == ["100.0", "50.0", "-50.0", "100.0", "50.0"]
    assert f"before: {before} (2 of its 3 tasks are in both)" in done.stdout


def test_runs_without_a_common_task_are_an_error_of_one_sentence(tmp_path: Path):
    done = _diagnose(_run(tmp_path / "a.jsonl", t_0=True), _run(tmp_path / "b.jsonl", t_1=True))
    assert (done.returncode, done.stdout) == (1, "")
    assert "the two runs have no task in common: evaluate both with the same data and split" in done.stderr
    assert "Traceback" not in done.stderr
