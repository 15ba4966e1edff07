"""`-m`: every job once, in a folder of its own, whatever becomes of the others. The jobs here train nothing."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import hydra
import pytest
import yaml
from full_disk import FULL
from hydra.core.global_hydra import GlobalHydra
from hydra.errors import MissingConfigException
from omegaconf import DictConfig

from envtune.command_line.command import CONFIG_FOLDER, command, sentence
from envtune.command_line.job_folder import Finished, JobFolder
from envtune.errors import UserError

Sweep = Callable[..., list[tuple[int, float]]]


@pytest.fixture
def sweep(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Sweep:
    """Runs `train.py -m ARGUMENTS` on a toy task and returns seed and KL weight of the jobs that were begun."""

    def run(*arguments: str, task: Callable[[DictConfig], Any] = lambda config: config.seed / 4) -> Any:
        begun = []

        def noted(config: DictConfig) -> Any:
            begun.append((config.seed, config.grpo.beta))
            return task(config)

        GlobalHydra.instance().clear()
        monkeypatch.setattr(sys, "argv", ["train.py", "-m", f"hydra.sweep.dir={tmp_path}", *arguments])
        command("train")(noted)()
        return begun

    return run


def records(folder: Path, name: str) -> list[Any]:
    return [json.loads(path.read_text()) for path in sorted(folder.glob(f"*/{name}"))]


def raising(error: BaseException, seed: int) -> Callable[[DictConfig], float]:
    def task(config: DictConfig) -> float:
        if config.seed == seed:
            raise error
        return 0.5

    return task


def test_every_job_has_its_folder_and_leaves_its_result(sweep: Sweep, tmp_path: Path):
    assert sweep("seed=0,1", "grpo.beta=0.1,0.2") == [(0, 0.1), (0, 0.2), (1, 0.1), (1, 0.2)]
    assert sorted(record["result"] for record in records(tmp_path, "finished.json")) == [0.0, 0.0, 0.25, 0.25]
    folders = {tuple(record["overrides"]) for record in records(tmp_path, "job.json")}
    assert len(folders) == 4
    assert ("seed=1", "grpo.beta=0.2") in folders


def test_a_continued_sweep_begins_only_what_has_not_finished_also_if_it_has_grown(
    sweep: Sweep, capsys: pytest.CaptureFixture[str]
):
    sweep("seed=0,1")
    assert sweep("seed=0,1") == []
    # Number 0 and 1 are now others.
    assert [seed for seed, _ in sweep("seed=2,1,0,3")] == [2, 3]
    assert "4 of 4 jobs" in capsys.readouterr().out


def test_a_job_that_fails_loses_no_other_and_is_named_at_the_end(
    sweep: Sweep, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    with pytest.raises(SystemExit) as caught:
        sweep("seed=0,1,2", "hydra.sweeper.max_batch_size=1", task=raising(ValueError("no luck"), 1))
    assert str(caught.value) == (
        f"error: 1 failed as listed above: the same command with hydra.sweep.dir={tmp_path} runs the unfinished jobs "
        "again, and no other"
    )
    printed = capsys.readouterr().out
    assert f"2 of 3 jobs in {tmp_path} have finished" in printed
    assert printed.strip().splitlines()[-1].endswith(": ValueError: no luck")
    assert records(tmp_path, "failed.json") == [{"error": "ValueError: no luck"}]
    assert sweep("seed=0,1,2") == [(1, 0.1)]
    assert records(tmp_path, "failed.json") == []


def test_a_failure_that_cannot_be_recorded_fails_the_sweep_with_its_own_sentence(
    sweep: Sweep, capsys: pytest.CaptureFixture[str]
):
    def task(config: DictConfig) -> float:
        (Path(config.run_folder) / "failed.json.partial").symlink_to(FULL)
        raise UserError("no luck")

    with pytest.raises(SystemExit, match=r"^error: no luck$"):
        sweep("seed=0,1", task=task)
    assert re.search(r"the disk is full while writing .*/failed\.json: free some space", capsys.readouterr().out)


def test_only_failures_of_this_command_are_told(sweep: Sweep, tmp_path: Path):
    with pytest.raises(SystemExit):
        sweep("seed=1", task=raising(ValueError("no luck"), 1))
    assert sweep("seed=2") == [(2, 0.1)]


def test_an_interrupted_job_goes_on_and_one_that_never_began_begins(sweep: Sweep):
    with pytest.raises(SystemExit, match="130"):
        sweep("seed=0,1,2", task=raising(KeyboardInterrupt(), 1))
    starts = {}

    def task(config: DictConfig) -> float:
        starts[config.seed] = config.ckpt_path
        return 0.5

    assert [seed for seed, _ in sweep("seed=0,1,2", task=task)] == [1, 2]
    # What continues a run: tests/end_to_end.
    assert starts == {1: "last", 2: None}


def test_a_job_in_the_folder_of_another_is_refused_in_a_sentence(sweep: Sweep, tmp_path: Path):
    sweep("seed=0", "hydra.sweep.subdir=mine")
    with pytest.raises(SystemExit) as caught:
        sweep("seed=1", "hydra.sweep.subdir=mine")
    assert str(caught.value) == (
        f"error: {tmp_path}/mine belongs to another job (seed was 0 and is 1): give another hydra.sweep.dir, or move "
        "the folder"
    )
    assert yaml.safe_load((tmp_path / "mine/.hydra/config.yaml").read_text())["seed"] == 0
    assert records(tmp_path, "finished.json") == [{"result": 0.0}]


def test_a_single_run_leaves_the_same_records_and_raises_what_it_fails_with(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(sys, "argv", ["train.py", f"hydra.run.dir={tmp_path}/run", "seed=1"])
    with pytest.raises(ValueError, match="no luck"):
        command("train")(raising(ValueError("no luck"), 1))()
    assert records(tmp_path, "failed.json") == [{"error": "ValueError: no luck"}]
    command("train")(raising(ValueError("no luck"), 2))()
    assert records(tmp_path, "failed.json") == []
    assert records(tmp_path, "finished.json") == [{"result": 0.5}]


def test_a_single_run_in_a_folder_at_work_is_refused_in_a_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    begun = []
    monkeypatch.setattr(sys, "argv", ["train.py", f"hydra.run.dir={tmp_path}", "seed=1"])
    with JobFolder(tmp_path).locked(), pytest.raises(SystemExit) as caught:
        command("train")(begun.append)()
    assert str(caught.value) == (
        f"error: another process is at work in {tmp_path}: wait for it, or give another folder"
    )
    assert (begun, [path.name for path in tmp_path.iterdir()]) == ([], ["job.lock"])


def test_a_single_run_keeps_others_out_of_its_folder_while_it_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    def task(config: DictConfig) -> float:
        with pytest.raises(UserError, match="another process is at work"), JobFolder(tmp_path).locked():
            raise AssertionError("two at once")
        return 0.5

    monkeypatch.setattr(sys, "argv", ["train.py", f"hydra.run.dir={tmp_path}"])
    command("train")(task)()
    assert JobFolder(tmp_path).finished == Finished(0.5)


def test_a_sweep_over_no_choice_is_told_in_a_sentence(sweep: Sweep):
    with pytest.raises(SystemExit) as caught:
        sweep("experiment=null,kl_0")
    assert str(caught.value).startswith("error: experiment=null,kl_0 is not a choice; leave experiment out, or choose")
    assert sweep("experiment=none,kl_0") == [(0, 0.1), (0, 0.0)]


def test_a_mistake_in_any_job_ends_the_sweep_before_the_first_and_before_a_folder_is_made(
    sweep: Sweep, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    for given, said in (
        (("seed=0,1", "grpo.beta=0.1,-1"), "grpo.beta=-1 must be a number of at least 0"),
        (("stage=1,7",), "stage=7 is not a choice; choose one of: 1, 1_reference, 2, 3, 4, clone, curriculum"),
        (("grpo.beta=interval(0,1)",), "grpo.beta=interval(0,1) has no end: sweep over a list, range(…) or glob(…)"),
    ):
        with pytest.raises(SystemExit) as caught:
            sweep(*given)
        assert str(caught.value) == f"error: {said}"
    assert (list(tmp_path.iterdir()), capsys.readouterr().out) == ([], "")


def test_a_setting_that_only_another_job_has_is_told_with_those_of_this_one(sweep: Sweep):
    with pytest.raises(SystemExit, match=r"data\.split is not a setting of data; valid are: categories, max_tasks"):
        sweep("data=bfcl,playground", "data.split=paper")


@pytest.mark.parametrize("launcher", ["joblib", "slurm"])
def test_launchers_that_are_extras_compose(launcher: str):
    GlobalHydra.instance().clear()
    arguments = [f"hydra/launcher={launcher}", *(["hydra.launcher.partition=gpus"] if launcher == "slurm" else [])]
    with hydra.initialize_config_dir(str(CONFIG_FOLDER), version_base="1.3"):
        composed = hydra.compose("train", overrides=arguments, return_hydra_config=True).hydra.launcher
    if launcher == "joblib":
        assert composed._target_.endswith("JoblibLauncher")
    else:
        assert composed._target_.endswith("SlurmLauncher")
        assert (composed.partition, composed.nodes, composed.tasks_per_node, composed.gpus_per_node) == (
            "gpus",
            1,
            1,
            1,
        )
        # A job that is out of time is queued again, and then continues.
        assert composed.max_num_timeout > 0


@pytest.mark.parametrize(("choice", "extra"), [("joblib", "sweep"), ("submitit_slurm", "slurm")])
def test_a_launcher_that_is_not_installed_is_reported_with_its_extra(choice: str, extra: str):
    missing: Sequence[str] = ["basic"]
    error = MissingConfigException("missing", f"hydra/launcher/{choice}", missing)
    assert sentence(error, "train") == (
        f"hydra/launcher={choice} is not a choice; choose one of: basic; {choice} comes with "
        f"pip install 'envtune[{extra}]'"
    )
