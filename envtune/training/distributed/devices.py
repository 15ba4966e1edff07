"""Validation of a run on several devices before it begins, and the seeds of its ranks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import lightning
import numpy as np
import torch
from lightning import Trainer
from lightning.pytorch.accelerators import AcceleratorRegistry
from lightning.pytorch.plugins.environments import LightningEnvironment

from envtune.errors import UserError
from envtune.processes.ranks import externally_started_processes


def processes_of(trainer: Mapping[str, Any]) -> int:
    """Return the number of processes, one per device, of a run with these settings of Lightning's Trainer.

    Raises:
        UserError: `trainer.devices` is not a number of devices, a list of them, or `auto`.
    """
    devices = trainer["devices"]
    if str(devices) in ("auto", "-1"):
        count = torch.cuda.device_count() if trainer["accelerator"] in ("auto", "gpu", "cuda") else 0
    elif isinstance(devices, str) and "," in devices:
        count = len([part for part in devices.split(",") if part.strip()])
    elif isinstance(devices, int) or str(devices).isdecimal():
        count = int(devices)
    elif isinstance(devices, Sequence) and not isinstance(devices, str):
        count = len(devices)
    else:
        raise UserError(f"trainer.devices={devices} must be a number of devices, a list like [0,1], or auto")
    return max(1, count) * trainer["num_nodes"]


def require_accelerator(name: str) -> None:
    """Raise UserError for a `trainer.accelerator` that this machine does not have."""
    if name == "auto":
        return
    kinds = ("cuda", "mps") if name == "gpu" else (name,)
    if not any(AcceleratorRegistry[kind]["accelerator"].is_available() for kind in kinds):
        raise UserError(
            f"trainer.accelerator={name} is not available: PyTorch finds no such device on this machine; use "
            "trainer=default, which uses what is available, or trainer=cpu"
        )


def require_processes(trainer: Trainer, in_sweep: bool) -> None:
    """Raise UserError if the run would wait for processes that are not started.

    Lightning starts those of one machine by repeating the command, which in a sweep would start another sweep.
    """
    environment = getattr(trainer.strategy, "cluster_environment", None)
    if environment is None or trainer.world_size == 1:
        return
    started = trainer.num_devices if isinstance(environment, LightningEnvironment) else externally_started_processes()
    if started != trainer.world_size:
        raise UserError(
            f"trainer.devices={trainer.num_devices} trainer.num_nodes={trainer.num_nodes} needs {trainer.world_size} "
            f"processes, and there are {started}: start that many with torchrun or srun, as docs/devices.md shows"
        )
    if in_sweep and not environment.creates_processes_externally:
        raise UserError(
            f"a run on {trainer.world_size} devices cannot be started within a sweep of this machine: give each its "
            "own command, or hydra/launcher=slurm as docs/devices.md shows"
        )


def require_same_device_count(saved: int, now: int) -> None:
    """Raise UserError if a checkpoint of ``saved`` devices is resumed on another number of devices."""
    if saved != now:
        raise UserError(
            f"the checkpoint was saved on {saved} devices, but this run has {now}: continue on as many, because each "
            "draws its own share of the tasks"
        )


def seed_this_rank(seed: int, trainer: Trainer) -> None:
    """Seed the random generators of each rank differently, after the model was built equally on all.

    The strategy restores this seed when training begins. Tasks and episodes have their own seeds.
    """
    if trainer.world_size > 1:
        rank_seed = int(np.random.SeedSequence([seed, trainer.global_rank]).generate_state(1)[0])
        lightning.seed_everything(rank_seed, workers=True, verbose=False)
