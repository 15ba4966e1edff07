from __future__ import annotations

import os

import pytest

from envtune.errors import UserError
from envtune.processes.ranks import (
    externally_started_processes,
    rank_of_this_process,
    remove_foreign_ranks,
    remove_malformed_ranks,
    require_common_folder,
)

NAMES = (
    "RANK",
    "LOCAL_RANK",
    "GROUP_RANK",
    "NODE_RANK",
    "WORLD_SIZE",
    "MASTER_PORT",
    "TORCHELASTIC_RUN_ID",
    "SLURM_PROCID",
    "SLURM_NTASKS",
    "SLURM_STEP_NUM_TASKS",
    "JSM_NAMESPACE_RANK",
    "JSM_NAMESPACE_SIZE",
)
TORCHRUN = {"TORCHELASTIC_RUN_ID": "none", "RANK": "5", "LOCAL_RANK": "1", "WORLD_SIZE": "8"}
SRUN = {"SLURM_PROCID": "3", "SLURM_NTASKS": "4", "SLURM_STEP_NUM_TASKS": "4"}
LIGHTNING = {"NODE_RANK": "0", "LOCAL_RANK": "1", "WORLD_SIZE": "2", "MASTER_PORT": "29500"}
SRUN_OF_ONE = {"SLURM_PROCID": "0", "SLURM_NTASKS": "1", "SLURM_STEP_NUM_TASKS": "1"}


def left() -> dict[str, str]:
    return {name: os.environ[name] for name in NAMES if name in os.environ}


def put(monkeypatch: pytest.MonkeyPatch, **variables: str) -> None:
    for name in NAMES:
        # Restores the variable, also if the code under test removes it.
        monkeypatch.setenv(name, "")
        monkeypatch.delenv(name)
    os.environ.update(variables)


def launch(monkeypatch: pytest.MonkeyPatch, **variables: str) -> tuple[int, int]:
    put(monkeypatch, **variables)
    return rank_of_this_process(), externally_started_processes()


def test_the_launchers_variables_define_rank_and_processes(monkeypatch: pytest.MonkeyPatch):
    assert launch(monkeypatch) == (0, 1)
    assert launch(monkeypatch, **LIGHTNING) == (1, 1)
    assert launch(monkeypatch, **TORCHRUN) == (5, 8)
    assert launch(monkeypatch, **SRUN) == (3, 4)
    # torchrun, once on each machine of a job of Slurm.
    assert launch(monkeypatch, **TORCHRUN, SLURM_PROCID="1", SLURM_STEP_NUM_TASKS="2") == (5, 8)
    # A batch script that runs a program by itself has asked for four tasks and started one.
    assert launch(monkeypatch, SLURM_PROCID="0", SLURM_NTASKS="4") == (0, 1)
    # The shell of an allocation is a step of one task, in which Lightning has started two processes.
    assert launch(monkeypatch, **SRUN_OF_ONE, **LIGHTNING) == (1, 1)


@pytest.mark.parametrize(
    "stray",
    [
        {"RANK": "1"},
        {"RANK": "1", "WORLD_SIZE": "2"},
        {"LOCAL_RANK": "1"},
        {"LOCAL_RANK": "1", "WORLD_SIZE": "1", "MASTER_PORT": "1"},
        {"SLURM_PROCID": "2"},
        {"SLURM_PROCID": "2", "SLURM_NTASKS": "4"},
        {"SLURM_PROCID": "", "SLURM_NTASKS": "", "SLURM_STEP_NUM_TASKS": "two"},
        {"RANK": "abc", "WORLD_SIZE": "2", "TORCHELASTIC_RUN_ID": "none"},
        {"JSM_NAMESPACE_RANK": "1"},
        {"OMPI_COMM_WORLD_RANK": "1", "OMPI_COMM_WORLD_SIZE": "2", "PMI_RANK": "1"},
    ],
)
def test_a_rank_without_a_launcher_is_ignored(monkeypatch: pytest.MonkeyPatch, stray: dict[str, str]):
    with monkeypatch.context() as patch:
        for name, value in stray.items():
            patch.setenv(name, value)
        put(patch, **stray)
        assert (rank_of_this_process(), externally_started_processes()) == (0, 1)


@pytest.mark.parametrize(
    ("stray", "named"),
    [
        ({"LOCAL_RANK": "1"}, "LOCAL_RANK=1"),
        ({"RANK": "1", "WORLD_SIZE": "2"}, "RANK=1 WORLD_SIZE=2"),
        (LIGHTNING, "LOCAL_RANK=1 WORLD_SIZE=2"),
        (SRUN, "SLURM_PROCID=3 SLURM_NTASKS=4 SLURM_STEP_NUM_TASKS=4"),
        ({"SLURM_PROCID": "0", "SLURM_NTASKS": "4"}, "SLURM_NTASKS=4"),
        ({"JSM_NAMESPACE_RANK": "1", "JSM_NAMESPACE_SIZE": "2"}, "JSM_NAMESPACE_RANK=1 JSM_NAMESPACE_SIZE=2"),
    ],
)
def test_a_run_of_one_process_removes_every_rank_variable(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], stray: dict[str, str], named: str
):
    put(monkeypatch, **stray)
    remove_foreign_ranks(1)
    assert rank_of_this_process() == 0
    # What Lightning would read is gone; where processes meet is no rank.
    assert left().keys() <= {"MASTER_PORT"}
    sentence = f"ignored in the environment: {named}, because this run has one process (one run on several devices: "
    assert capsys.readouterr().err.startswith(sentence)
    remove_foreign_ranks(1)
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("plain", [{}, {"RANK": "0"}, {"RANK": "0", "LOCAL_RANK": "0", "WORLD_SIZE": "1"}, SRUN_OF_ONE])
def test_the_values_of_a_single_process_are_removed_silently(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], plain: dict[str, str]
):
    put(monkeypatch, **plain)
    remove_foreign_ranks(1)
    assert capsys.readouterr().err == ""
    # Lightning puts a job of one task into Slurm's queue again.
    assert left() == {name: value for name, value in plain.items() if name.startswith("SLURM")}


@pytest.mark.parametrize(("launcher", "processes"), [(TORCHRUN, 8), (SRUN, 4), (LIGHTNING, 2)])
def test_the_processes_of_a_launcher_keep_their_ranks(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], launcher: dict[str, str], processes: int
):
    put(monkeypatch, **launcher)
    remove_foreign_ranks(processes)
    assert left() == launcher
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(
    "stray", [{"LOCAL_RANK": "1"}, {"NODE_RANK": "1"}, LIGHTNING, {"RANK": "1", "WORLD_SIZE": "2"}]
)
def test_a_run_of_several_processes_ignores_the_ranks_of_another_run(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], stray: dict[str, str]
):
    put(monkeypatch, **stray)
    remove_foreign_ranks(4)
    assert left().keys() <= {"MASTER_PORT"}
    assert "because they are not of this run" in capsys.readouterr().err


def test_sruns_rank_precedes_one_exported_in_a_batch_script(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    put(monkeypatch, **SRUN, RANK="0", WORLD_SIZE="4")
    remove_foreign_ranks(4)
    assert left() == SRUN
    assert rank_of_this_process() == 3
    assert capsys.readouterr().err.startswith("ignored in the environment: WORLD_SIZE=4, because they are not of this")


def test_torchrun_of_two_does_not_start_two_runs_of_one(monkeypatch: pytest.MonkeyPatch):
    put(monkeypatch, **TORCHRUN)
    words = (
        r"^8 processes were started by torchrun, and this run has one: start it without torchrun, or add trainer=ddp "
    )
    with pytest.raises(UserError, match=words):
        remove_foreign_ranks(1)


def test_ranks_that_are_not_numbers_are_removed_before_lightning_reads_them(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    put(monkeypatch, RANK="", LOCAL_RANK="abc", SLURM_PROCID="2", JSM_NAMESPACE_RANK="-1")
    remove_malformed_ranks()
    assert left() == {"SLURM_PROCID": "2"}
    sentence = (
        "ignored in the environment: RANK='' LOCAL_RANK=abc JSM_NAMESPACE_RANK=-1, because a rank is a number from 0"
    )
    assert capsys.readouterr().err.startswith(sentence)


@pytest.mark.parametrize("launcher", [TORCHRUN, SRUN])
def test_externally_started_processes_need_the_name_of_one_folder(
    monkeypatch: pytest.MonkeyPatch, launcher: dict[str, str]
):
    _, processes = launch(monkeypatch, **launcher)
    with pytest.raises(UserError, match=rf"^{processes} processes were started, .*: add hydra.run.dir=runs/NAME, and"):
        require_common_folder([])
    require_common_folder(["hydra.run.dir=runs/a"])


def test_a_process_without_others_may_write_to_a_new_folder(monkeypatch: pytest.MonkeyPatch):
    launch(monkeypatch)
    require_common_folder([])
