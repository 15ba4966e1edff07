from __future__ import annotations

import pytest

from envtune.errors import UserError
from envtune.ranks import arguments_of_rank, processes_from_outside, rank_of_this_process

NAMES = (
    "RANK",
    "LOCAL_RANK",
    "WORLD_SIZE",
    "TORCHELASTIC_RUN_ID",
    "SLURM_PROCID",
    "SLURM_NTASKS",
    "SLURM_STEP_NUM_TASKS",
)
TORCHRUN = {"TORCHELASTIC_RUN_ID": "none", "RANK": "5", "LOCAL_RANK": "1", "WORLD_SIZE": "8"}
SRUN = {"SLURM_PROCID": "3", "SLURM_NTASKS": "4", "SLURM_STEP_NUM_TASKS": "4"}


def told(monkeypatch: pytest.MonkeyPatch, **variables: str) -> tuple[int, int]:
    for name in NAMES:
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    return rank_of_this_process(), processes_from_outside()


def test_what_started_a_process_tells_its_rank(monkeypatch: pytest.MonkeyPatch):
    assert told(monkeypatch) == (0, 1)
    assert told(monkeypatch, LOCAL_RANK="1", WORLD_SIZE="2") == (1, 1)
    assert told(monkeypatch, **TORCHRUN) == (5, 8)
    assert told(monkeypatch, **SRUN) == (3, 4)
    # torchrun, once on each machine of a job of Slurm.
    assert told(monkeypatch, **TORCHRUN, SLURM_PROCID="1", SLURM_STEP_NUM_TASKS="2") == (5, 8)
    # A batch script that runs a program by itself has asked for four tasks and started one.
    assert told(monkeypatch, SLURM_PROCID="0", SLURM_NTASKS="4") == (0, 1)


@pytest.mark.parametrize("launcher", [TORCHRUN, SRUN])
def test_processes_from_outside_need_the_name_of_one_folder(monkeypatch: pytest.MonkeyPatch, launcher: dict[str, str]):
    rank, processes = told(monkeypatch, **launcher)
    with pytest.raises(UserError, match=rf"^{processes} processes were started, .*: add hydra.run.dir=runs/NAME, and"):
        arguments_of_rank(["trainer=ddp", "ckpt_path=last"])
    assert arguments_of_rank(["trainer=ddp", "hydra.run.dir=runs/a"]) == [
        "trainer=ddp",
        "hydra.run.dir=runs/a",
        "hydra.output_subdir=null",
        f"hydra.job.name=rank_{rank}",
    ]


def test_the_first_process_takes_the_command_as_it_is(monkeypatch: pytest.MonkeyPatch):
    told(monkeypatch)
    assert arguments_of_rank(["stage='3'"]) == ["stage='3'"]
    told(monkeypatch, **SRUN | {"SLURM_PROCID": "0"})
    assert arguments_of_rank(["-m", "seed=0,1"]) == ["-m", "seed=0,1"]
