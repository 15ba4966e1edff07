"""A command in an environment that names ranks: which process it takes itself for. The commands here do nothing."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from hydra.core.global_hydra import GlobalHydra
from lightning.pytorch.utilities.rank_zero import rank_zero_only
from test_ranks import LIGHTNING, SRUN, TORCHRUN, put

from envtune.command_line.command import command

ROOT = Path(__file__).parent.parent
TWO_DEVICES = ("trainer=ddp", "trainer.devices=2", "trainer.accelerator=cpu", "trainer.precision=32-true")
# Small, and every part is there: one update, two tasks to validate on.
SMALL = (
    *("debug=fast", "trainer=cpu", "trainer.max_steps=1", "data=playground", "data.val_size=1"),
    *("grpo.tasks_per_update=1", "data.categories=[base]", "data.val_categories=[base]"),
    *("rollout.max_response_tokens=128", "rollout.max_completion_tokens=16"),
)
Play = Callable[..., list[int]]


@pytest.fixture
def play(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Play:
    """Runs a command in this process; returns what Lightning takes for the rank, in each of its jobs."""

    def run(name: str, *arguments: str, **environment: str) -> list[int]:
        put(monkeypatch, **environment)
        # As Lightning has set it when it was imported.
        named = [environment[name] for name in ("RANK", "LOCAL_RANK", "SLURM_PROCID") if name in environment]
        monkeypatch.setattr(rank_zero_only, "rank", int(named[0]))
        GlobalHydra.instance().clear()
        folder = "hydra.sweep.dir" if "-m" in arguments else "hydra.run.dir"
        monkeypatch.setattr(sys, "argv", [f"{name}.py", *arguments, f"{folder}={tmp_path}"])
        ranks: list[int] = []
        command(name)(lambda config: ranks.append(rank_zero_only.rank))()
        return ranks

    return run


@pytest.mark.parametrize(
    ("name", "stray"),
    [("train", {"LOCAL_RANK": "1"}), ("train", LIGHTNING), ("train", SRUN), ("evaluate", {"RANK": "1"} | LIGHTNING)],
)
def test_a_command_of_one_process_keeps_its_records_whatever_the_rank(
    play: Play, tmp_path: Path, name: str, stray: dict[str, str]
):
    assert play(name, **stray) == [0]
    names = {path.name for path in tmp_path.iterdir()}
    assert {".hydra", "finished.json"} <= names
    assert "rank_1.log" not in names


def test_jobs_of_a_sweep_keep_their_records_too(play: Play, tmp_path: Path):
    assert play("train", "-m", "seed=0,1", **LIGHTNING) == [0, 0]
    assert len([*tmp_path.glob("*/.hydra"), *tmp_path.glob("*/finished.json")]) == 4


def test_a_sweep_that_torchrun_started_is_of_as_many_processes_as_its_first_job(play: Play):
    jobs = ["-m", "trainer.devices=8,4", *TWO_DEVICES[::2], "seed=range(0,2)"]
    assert play("train", *jobs, **TORCHRUN) == [5] * 4
    with pytest.raises(SystemExit, match=r"^error: 8 processes were started by torchrun, and this run has one: "):
        play("train", "-m", "trainer.devices=1,8", **TORCHRUN)


def test_another_process_of_a_run_leaves_the_records_to_the_first(play: Play, tmp_path: Path):
    assert play("train", *TWO_DEVICES, **LIGHTNING) == [1]
    assert [path.name for path in tmp_path.iterdir()] == ["rank_1.log"]


def test_a_run_of_one_device_under_torchrun_is_refused(play: Play, tmp_path: Path):
    with pytest.raises(SystemExit, match=r"^error: 8 processes were started by torchrun, and this run has one: "):
        play("train", **TORCHRUN)
    assert not [*tmp_path.iterdir()]


def test_a_setting_that_is_wrong_is_answered_as_everywhere(play: Play):
    with pytest.raises(SystemExit, match=r"^error: rewards is not a group or setting; did you mean reward\?"):
        play("train", "rewards=progress", RANK="1")


def test_a_run_is_recorded_and_shown_in_an_environment_full_of_ranks(tmp_path: Path):
    """In a process of its own, for Lightning reads some of them when it is imported."""
    batch = {"SLURM_JOB_ID": "12", "SLURM_NTASKS": "4", "SLURM_PROCID": "2", "JSM_NAMESPACE_RANK": "1"}
    environment = os.environ | LIGHTNING | batch | {"RANK": "", "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"}
    program = [sys.executable, "train.py", f"hydra.run.dir={tmp_path}", *SMALL]
    done = subprocess.run(program, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    ignored = [line.partition(", because ")[0] for line in done.stderr.splitlines() if line.startswith("ignored in ")]
    assert ignored == [
        "ignored in the environment: RANK=''",
        "ignored in the environment: LOCAL_RANK=1 WORLD_SIZE=2 SLURM_PROCID=2 SLURM_NTASKS=4 JSM_NAMESPACE_RANK=1",
    ]
    assert "validation after update 1" in done.stdout
    assert json.loads((tmp_path / "run.json").read_text())["settings"]["trainer"]["devices"] == 1
    assert list((tmp_path / "tensorboard").iterdir())
