from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from envtune import trajectory_file
from envtune.bfcl.category import Category
from envtune.evaluation.recorded_episodes import trajectory_files
from envtune.task import ToolCall
from envtune.trajectory import (
    EpisodeEnd,
    FinalAnswer,
    Step,
    ToolCalls,
    ToolResult,
    Trajectory,
    Turn,
    TurnEnd,
    TurnVerdict,
)

ROOT = Path(__file__).parents[2]


def _record(task: str, thought: str, passed: bool, reward: float | None) -> dict[str, Any]:
    call = ToolCall("cat", {"file_name": "a.txt"})
    turn = Turn(
        user_message="Read a.txt",
        ground_truth=(call,),
        steps=(
            Step("c1", ToolCalls(thought, (call,)), (ToolResult(call, True, "hello"),), "hello"),
            Step("c2", FinalAnswer("done", "It says hello."), (), ""),
        ),
        end=TurnEnd.ANSWERED,
        verdict=TurnVerdict(passed, True, True, False, True),
    )
    trajectory = Trajectory(task, Category.BASE, 1, (turn,), EpisodeEnd.TERMINATED, seed=7)
    parts = {"progress": {"value": reward, "weight": 1.0}}
    return trajectory_file.to_json(trajectory) | (
        {} if reward is None else {"reward": {"total": reward, "parts": parts}}
    )


RECORDS = [
    _record("t_0", "first", True, 0.75),
    _record("t_1", "second", False, 0.0),
    _record("t_1", "third", True, 1.0),
]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    trajectory_file.write(tmp_path / "update.jsonl", RECORDS)
    return tmp_path / "update.jsonl"


def _show(path: Path, *options: str) -> tuple[int, str, str]:
    command = [sys.executable, "tools/show_trajectory.py", str(path), *options]
    # Captured text is compared as UTF-8 whatever the locale is.
    environment = {**os.environ, "PYTHONIOENCODING": "utf-8"}
    done = subprocess.run(command, cwd=ROOT, capture_output=True, encoding="utf-8", env=environment, check=False)
    return done.returncode, done.stdout, done.stderr


@pytest.mark.parametrize(
    ("options", "thought"),
    [
        ((), "first"),
        (("--best",), "third"),
        (("--worst",), "second"),
        (("--index", "1"), "second"),
        (("--task", "t_1"), "second"),
        (("--task", "t_1", "--best"), "third"),
    ],
)
def test_one_episode_is_shown_by_place_task_or_reward(path: Path, options: tuple[str, ...], thought: str) -> None:
    code, shown, _ = _show(path, *options)
    assert code == 0
    assert f"thinks: {thought}" in shown
    assert [word for word in ("first", "second", "third") if word in shown] == [thought]


def test_what_happened_and_its_reward_can_be_read(path: Path) -> None:
    _, shown, _ = _show(path)
    for part in ("t_0: success", "reward 0.750 (progress 0.750)", "Read a.txt", "cat(file_name='a.txt')", "hello"):
        assert part in shown


def test_the_list_has_a_row_for_every_episode(path: Path) -> None:
    code, shown, _ = _show(path, "--list")
    rows = [line.replace("│", " ").split() for line in shown.splitlines() if "terminated" in line]
    assert code == 0
    assert rows == [
        ["0", "t_0", "0.750", "yes", "1/1", "2", "terminated", "-"],
        ["1", "t_1", "0.000", "no", "0/1", "2", "terminated", "state_mismatch"],
        ["2", "t_1", "1.000", "yes", "1/1", "2", "terminated", "-"],
    ]


def test_of_a_run_folder_the_newest_file_is_read_and_without_rewards_progress_ranks(tmp_path: Path) -> None:
    old, new = tmp_path / "trajectories" / "train" / "b.jsonl", tmp_path / "trajectories" / "val" / "a.jsonl"
    for file, records in (
        (old, RECORDS[:1]),
        (new, [_record("v_0", "x", False, None), _record("v_1", "y", True, None)]),
    ):
        file.parent.mkdir(parents=True)
        trajectory_file.write(file, records)
    os.utime(old, (1, 1))
    code, shown, _ = _show(tmp_path, "--best")
    assert (code, "v_1: success" in shown, "reward" in shown) == (0, True, False)


def test_control_characters_of_a_model_do_not_reach_the_terminal(tmp_path: Path) -> None:
    trajectory_file.write(tmp_path / "run.jsonl", [_record("t_0\x1b[2J", "red \x1b[31m alert", True, None)])
    _, shown, _ = _show(tmp_path / "run.jsonl")
    assert "red \N{REPLACEMENT CHARACTER}[31m alert" in shown
    assert "\x1b" not in shown
    assert "\x1b" not in _show(tmp_path / "run.jsonl", "--list")[1]


@pytest.mark.parametrize(
    ("content", "options", "message"),
    [
        (None, (), "cannot be read"),
        ("", (), "is empty: give a file with at least one trajectory"),
        ('{"task_id": ', (), "line 1 is not JSON"),
        ("[]", (), "line 1 is not a JSON object"),
        ('{"task_id": "t_0"}', (), "line 1 is not a trajectory ('category' is missing)"),
        (json.dumps(RECORDS[0]), ("--task", "t_9"), "has no episode of task t_9: --list prints all"),
        (json.dumps(RECORDS[0]), ("--index", "5"), "index 5 is not among the 1 episodes"),
    ],
)
def test_a_mistake_is_told_in_one_sentence(
    tmp_path: Path, content: str | None, options: tuple[str, ...], message: str
) -> None:
    if content is not None:
        (tmp_path / "run.jsonl").write_text(content, encoding="utf-8")
    code, shown, complaint = _show(tmp_path / "run.jsonl", *options)
    assert (code, shown) == (1, "")
    assert complaint.startswith("show_trajectory: ")
    assert message in complaint
    assert complaint.count("\n") == 1


def test_the_trajectories_of_a_curriculum_are_those_of_its_stages(tmp_path: Path) -> None:
    for name in ("stage_2/trajectories/train/update_000004.jsonl", "stage_1/trajectories/val/update_000003.jsonl"):
        (tmp_path / name).parent.mkdir(parents=True)
        (tmp_path / name).touch()
    (tmp_path / "stage_1" / "notes.jsonl").touch()
    assert [str(file.relative_to(tmp_path)) for file in trajectory_files(tmp_path)] == [
        "stage_1/trajectories/val/update_000003.jsonl",
        "stage_2/trajectories/train/update_000004.jsonl",
    ]


def test_a_folder_without_trajectories_is_named(tmp_path: Path) -> None:
    code, _, complaint = _show(tmp_path)
    assert code == 1
    assert complaint.endswith("holds no trajectories: give a run's folder or one of its .jsonl files\n")
