"""What must hold before a run on several devices begins, and what its processes have apart."""

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
from envtune.processes.ranks import processes_from_outside


def processes_of(trainer: Mapping[str, Any]) -> int:
    """Return how many processes a run with these settings of Lightning's Trainer has, one for each device.

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
    """Raises UserError for a `trainer.accelerator` that this machine does not have."""
    if name == "auto":
        return
    kinds = ("cuda", "mps") if name == "gpu" else (name,)
    if not any(AcceleratorRegistry[kind]["accelerator"].is_available() for kind in kinds):
        raise UserError(
            f"trainer.accelerator={name} cannot be had, for PyTorch sees none on this machine: use trainer=default, "
            "which takes what there is, or trainer=cpu"
        )


def require_processes(trainer: Trainer, in_sweep: bool) -> None:
    """Raises UserError where the run would wait for processes that nobody starts.

    Lightning starts those of one machine by repeating the command, which in a sweep would be another sweep.
    """
    environment = getattr(trainer.strategy, "cluster_environment", None)
    if environment is None or trainer.world_size == 1:
        return
    started = trainer.num_devices if isinstance(environment, LightningEnvironment) else processes_from_outside()
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


def require_as_many_devices(saved: int, now: int) -> None:
    """Raises UserError if a checkpoint of ``saved`` devices is to be continued on ``now`` others."""
    if saved != now:
        raise UserError(
            f"the checkpoint was saved on {saved} devices, but this run has {now}: continue on as many, for each draws "
            "its own share of the tasks"
        )


def seed_this_rank(seed: int, trainer: Trainer) -> None:
    """Parts the random generators of several processes, once the model, the same in all, has been made.

    The strategy goes back to this seed when training begins. Tasks and episodes have seeds of their own.
    """
    if trainer.world_size > 1:
        apart = int(np.random.SeedSequence([seed, trainer.global_rank]).generate_state(1)[0])
        lightning.seed_everything(apart, workers=True, verbose=False)
