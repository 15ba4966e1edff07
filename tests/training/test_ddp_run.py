"""`trainer=ddp` with two processes on the CPU: their numbers are those of one run, and the end of one ends it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from statistics import mean
from typing import Any

import psutil
import pytest
from ddp_run import MOMENTS, play
from sharded_run import ROOT, together
from test_curriculum_run import settings as settings_of_curriculum
from test_exact_resume import assert_same_run, checkpoint_of
from test_exact_resume import settings as settings_of_one

from envtune.training.run_folder.csv_log import read_rows
from envtune.training.run_folder.stage_record import read_stage_records

# The fixture waits for eight processes, which a busy machine may take a while for.
pytestmark = pytest.mark.timeout(1800)

DDP = ["trainer=ddp", "trainer.accelerator=cpu", "trainer.devices=2", "trainer.precision=32-true"]


def settings(toy_folder: Path) -> list[str]:
    """One task an update for each rank; of the three of validation the second rank gets one, in two batches."""
    rule = [f"callbacks.transition.rule.{name}=4" for name in ("min_updates", "max_updates")]
    uneven = ["data.val_size=3", "rollout.max_episodes=1"]
    alone = [argument for argument in settings_of_one(toy_folder) if argument != "trainer=cpu"]
    return [*alone, *DDP, *rule, *uneven]


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory, toy_folder: Path) -> dict[str, Any]:
    """A run of four updates, and one in which one process after the other was killed, with the outputs of all."""
    home = tmp_path_factory.mktemp("ddp")
    whole, killed = home / "whole", home / "killed"
    outputs = {}
    codes, outputs["whole"] = together(play, [*settings(toy_folder), f"hydra.run.dir={whole}"], None)
    assert codes == [0, 0], outputs["whole"][-5000:]
    again = [*settings(toy_folder), f"hydra.run.dir={killed}", "ckpt_path=last"]
    for moment, (rank, _) in MOMENTS.items():
        codes, outputs[moment] = together(play, again, moment)
        assert codes == ([-9, 1] if rank == 0 else [1, -9]), outputs[moment][-5000:]
    codes, outputs["continued"] = together(play, again, None)
    assert codes == [0, 0], outputs["continued"][-5000:]
    return {"whole": whole, "killed": killed, "outputs": outputs}


def records_of(folder: Path, kind: str, update: int) -> list[list[dict[str, Any]]]:
    """Of each rank."""
    names = [f"update_{update:06d}.rank_{rank}.jsonl" for rank in range(2)]
    return [[json.loads(line) for line in (folder / "trajectories" / kind / name).open()] for name in names]


def test_rows_are_over_the_episodes_of_both_ranks(runs: dict[str, Any]):
    rows = {row["step"]: row for row in read_rows(runs["whole"] / "csv/metrics.csv") if row["reward/mean"]}
    assert list(rows) == ["1", "2", "3", "4"]
    for update in range(1, 5):
        first, second = records_of(runs["whole"], "train", update)
        rewards = [record["reward"]["total"] for record in first + second]
        assert float(rows[str(update)]["reward/mean"]) == pytest.approx(mean(rewards))


def test_validation_is_over_the_tasks_of_both_ranks_of_which_one_has_fewer(runs: dict[str, Any]):
    rows = [row for row in read_rows(runs["whole"] / "csv/metrics.csv") if row["val/progress/overall"]]
    assert [row["step"] for row in rows] == ["0", "2", "4"]
    for row in rows:
        first, second = records_of(runs["whole"], "val", int(row["step"]))
        assert (len(first), len(second)) == (2, 1)
        assert not {record["task_id"] for record in first} & {record["task_id"] for record in second}


def test_ranks_may_refill_different_numbers_of_rounds(runs: dict[str, Any]):
    played = [[len(records) for records in records_of(runs["whole"], "train", update)] for update in range(1, 5)]
    assert any(first != second for first, second in played)
    drawn = checkpoint_of(runs["whole"], "last")["EnvironmentDataModule"]["drawn"]
    # A group has two episodes, and each is of a task of its own.
    assert drawn == [sum(first for first, _ in played) / 2, sum(second for _, second in played) / 2]


def test_ranks_play_episodes_of_their_own_and_draw_numbers_of_their_own(runs: dict[str, Any]):
    seeds = [[record["seed"] for record in records] for records in records_of(runs["whole"], "train", 1)]
    assert not set(seeds[0]) & set(seeds[1])
    states = checkpoint_of(runs["whole"], "last")["run"]["random_states"]
    assert not states[0]["torch"].equal(states[1]["torch"])


def test_the_terminal_hears_one_rank(runs: dict[str, Any]):
    assert runs["outputs"]["whole"].count("run folder: ") == 2
    assert runs["outputs"]["whole"].count("validation after update 4  success") == 1


@pytest.mark.parametrize("moment", MOMENTS)
def test_the_end_of_one_process_ends_the_other_which_names_it(runs: dict[str, Any], moment: str):
    words = " ".join(runs["outputs"][moment].split())
    rank = MOMENTS[moment][0]
    assert f"rank {rank} of 2 (process " in words
    assert "has ended too early: it was killed, ran out of memory" in words


def test_a_run_that_was_killed_and_continued_is_the_one_that_was_not(runs: dict[str, Any]):
    assert_same_run(runs["killed"], runs["whole"])


def test_a_curriculum_trains_its_stages_in_the_same_processes(toy_folder: Path, tmp_path: Path):
    alone = [argument for argument in settings_of_curriculum(toy_folder) if argument != "trainer=cpu"]
    two_updates = ["grpo.tasks_per_update=2", "curriculum.stages=[1,2]", "curriculum.max_updates=1"]
    codes, output = together(play, [*alone, *DDP, *two_updates, f"hydra.run.dir={tmp_path}"], None)
    assert codes == [0, 0], output[-5000:]
    stages = [(record.stage, record.last_update) for record in read_stage_records(tmp_path)]
    assert stages == [("1", 1), ("2", 2)]
    for stage, update in stages:
        assert all(records_of(tmp_path / f"stage_{stage}", "train", update))
    assert output.count("the curriculum, % of validation tasks passed") == 1


def test_the_command_starts_its_processes_and_ends_when_one_is_killed(toy_folder: Path, tmp_path: Path):
    folder, output = tmp_path / "run", tmp_path / "output.txt"
    arguments = [
        argument for argument in settings(toy_folder) if "transition" not in argument and "Coin" not in argument
    ]
    arguments += ["trainer.max_steps=1000", "callbacks.last.every=1", f"hydra.run.dir={folder}"]
    with output.open("w") as file:
        program = start(arguments, file)
        wait_for(folder / "checkpoints/last.ckpt", program, output)
        (other,) = psutil.Process(program.pid).children()
        other.kill()
        assert program.wait(300) == 1, output.read_text()[-3000:]
    assert f"rank 1 of 2 (process {other.pid} on " in " ".join(output.read_text().split())
    assert (folder / "rank_1.log").is_file()
    with output.open("w") as file:
        updates = len(list((folder / "trajectories/train").glob("*.rank_0.jsonl")))
        assert start([f"ckpt_path={folder}", f"trainer.max_steps={updates + 1}"], file).wait(600) == 0, (
            output.read_text()
        )
    steps = [int(row["step"]) for row in read_rows(folder / "csv/metrics.csv") if row["reward/mean"]]
    assert steps == list(range(1, updates + 2))


def start(arguments: list[str], output: Any) -> subprocess.Popen[bytes]:
    command = [sys.executable, "train.py", *arguments]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    return subprocess.Popen(command, cwd=ROOT, env=environment, stdout=output, stderr=output)


def wait_for(path: Path, program: subprocess.Popen[bytes], output: Path) -> None:
    """Until the file is there."""
    while not path.is_file():
        assert program.poll() is None, output.read_text()[-3000:]
        time.sleep(0.1)
