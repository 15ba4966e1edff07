"""Before a run on several devices begins: processes that nobody starts, seeds, checkpoints of other numbers of them."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import hydra
import pytest
import torch
from hydra.core.global_hydra import GlobalHydra
from hydra.utils import instantiate

from envtune.command_line.command import CONFIG_FOLDER
from envtune.errors import UserError
from envtune.training.distributed.devices import (
    processes_of,
    require_processes,
    require_same_device_count,
    seed_this_rank,
)
from envtune.training.reporting.library_logging import silence_libraries

TORCHRUN = {
    "TORCHELASTIC_RUN_ID": "none",
    "RANK": "5",
    "LOCAL_RANK": "1",
    "GROUP_RANK": "1",
    "WORLD_SIZE": "8",
    "MASTER_ADDR": "node1",
    "MASTER_PORT": "29500",
}
SLURM = {
    "SLURM_JOB_ID": "1234",
    "SLURM_JOB_NAME": "train",
    "SLURM_NTASKS": "8",
    "SLURM_NTASKS_PER_NODE": "4",
    "SLURM_NNODES": "2",
    "SLURM_PROCID": "5",
    "SLURM_LOCALID": "1",
    "SLURM_NODEID": "1",
    "SLURM_NODELIST": "node[1-2]",
}
SRUN = SLURM | {"SLURM_STEP_NUM_TASKS": "8"}


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Any:
    """The Trainer of a command, in the process that ``environment`` describes."""
    # What making a Trainer leaves in the environment.
    for name in ("PL_GLOBAL_SEED", "PL_SEED_WORKERS", "MASTER_ADDR", "MASTER_PORT"):
        monkeypatch.setenv(name, "0")
        monkeypatch.delenv(name)
    rank_zero_only = "lightning.pytorch.utilities.rank_zero.rank_zero_only"
    monkeypatch.setattr(f"{rank_zero_only}.rank", 0)

    def make(*arguments: str, **environment: str) -> Any:
        for name, value in environment.items():
            monkeypatch.setenv(name, value)
        GlobalHydra.instance().clear()
        with hydra.initialize_config_dir(str(CONFIG_FOLDER), version_base="1.3"):
            config = hydra.compose("train", overrides=["trainer=ddp", "trainer.accelerator=cpu", *arguments])
        config.run_folder = str(tmp_path)
        return instantiate(config.trainer, logger=False)

    return make


@pytest.mark.parametrize("environment", [TORCHRUN, SRUN], ids=["torchrun", "srun"])
def test_two_machines_of_four_devices_are_eight_processes(made: Any, environment: dict[str, str]):
    trainer = made("trainer.devices=4", "trainer.num_nodes=2", **environment)
    require_processes(trainer, in_sweep=True)
    assert (trainer.global_rank, trainer.local_rank, trainer.world_size) == (5, 1, 8)
    assert trainer.strategy.cluster_environment.main_address == "node1"
    assert trainer.strategy._timeout.total_seconds() == 7200


def test_a_sweep_on_a_cluster_gives_every_job_a_process_for_each_device():
    GlobalHydra.instance().clear()
    run = ["trainer=ddp", "trainer.devices=8", "trainer.num_nodes=2"]
    sizes = [f"hydra.launcher.{size}" for size in ("nodes=2", "tasks_per_node=8", "gpus_per_node=8")]
    launcher = ["hydra/launcher=slurm", "hydra.launcher.partition=gpus", *sizes]
    with hydra.initialize_config_dir(str(CONFIG_FOLDER), version_base="1.3"):
        composed = hydra.compose("train", overrides=[*run, *launcher], return_hydra_config=True)
    of_job, of_run = composed.hydra.launcher, composed.trainer
    assert (of_job.nodes, of_job.tasks_per_node) == (of_run.num_nodes, of_run.devices) == (2, 8)


@pytest.mark.parametrize(
    ("devices", "nodes", "processes"),
    [(1, 1, 1), (4, 2, 8), ("2", 1, 2), ([0, 1], 1, 2), ("0,1,", 1, 2), ("1,", 1, 1), ("auto", 1, 3), (-1, 2, 6)],
)
def test_a_run_has_a_process_for_each_device(monkeypatch: pytest.MonkeyPatch, devices: Any, nodes: int, processes: int):
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 3)
    assert processes_of({"devices": devices, "num_nodes": nodes, "accelerator": "auto"}) == processes


def test_all_devices_of_a_machine_without_gpus_are_one(made: Any):
    for devices in ("auto", 1, 2):
        settings = {"devices": devices, "num_nodes": 1, "accelerator": "cpu"}
        assert processes_of(settings) == made(f"trainer.devices={devices}").world_size


def test_devices_that_cannot_be_counted_are_answered_in_a_sentence():
    with pytest.raises(
        UserError, match=r"^trainer.devices=two must be a number of devices, a list like \[0,1\], or auto"
    ):
        processes_of({"devices": "two", "num_nodes": 1, "accelerator": "cpu"})


def test_a_batch_job_of_one_device_needs_no_srun(
    made: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, recwarn: pytest.WarningsRecorder
):
    (tmp_path / "srun").touch(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    silence_libraries()
    made("trainer.devices=1")
    assert not [warning for warning in recwarn if "srun" in str(warning.message)]


def test_a_run_whose_processes_are_not_started_is_a_user_error(made: Any):
    words = r"^trainer.devices=4 trainer.num_nodes=2 needs 8 processes, and there are 4: start that many with torchrun"
    with pytest.raises(UserError, match=words):
        require_processes(made("trainer.devices=4", "trainer.num_nodes=2"), in_sweep=False)


def test_a_batch_script_without_srun_is_a_user_error(made: Any):
    trainer = made("trainer.devices=4", "trainer.num_nodes=2", **SLURM)
    with pytest.raises(UserError, match=r"needs 8 processes, and there are 1: start that many with torchrun or srun"):
        require_processes(trainer, in_sweep=False)


def test_a_sweep_starts_no_processes_of_its_own(made: Any):
    trainer = made("trainer.devices=2")
    require_processes(trainer, in_sweep=False)
    with pytest.raises(UserError, match=r"^a run on 2 devices cannot be started within a sweep of this machine"):
        require_processes(trainer, in_sweep=True)


def test_one_device_needs_no_other_processes(made: Any):
    for choice in ("trainer=ddp", "trainer=cpu"):
        require_processes(made(choice, "trainer.devices=1"), in_sweep=True)


def test_ranks_draw_apart_and_a_single_process_as_before(made: Any):
    torch.manual_seed(0)
    alone = float(torch.rand(()))
    draws = []
    for rank, world_size in ((0, 1), (0, 2), (1, 2)):
        torch.manual_seed(0)
        seed_this_rank(7, SimpleNamespace(global_rank=rank, world_size=world_size))  # type: ignore[arg-type]
        draws.append(float(torch.rand(())))
    assert draws[0] == alone
    assert len({*draws}) == 3


def test_a_checkpoint_is_continued_on_as_many_devices():
    require_same_device_count(2, 2)
    with pytest.raises(UserError, match=r"^the checkpoint was saved on 2 devices, but this run has 4: continue on as"):
        require_same_device_count(2, 4)
