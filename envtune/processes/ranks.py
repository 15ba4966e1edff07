"""The rank of this process, from the environment variables of its launcher and the devices of the run.

Rank 0 keeps the records of a run and writes to the terminal. Containers, notebooks and batch jobs may set variables of
ranks that do not belong to this run; these are removed, because Lightning reads them too. Does not import Lightning.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from envtune.errors import UserError

# The values in a run of one process: of variables that Lightning reads in every process, and of batch systems.
_SINGLE_PROCESS = {"RANK": "0", "LOCAL_RANK": "0", "GROUP_RANK": "0", "NODE_RANK": "0", "WORLD_SIZE": "1"}
_SINGLE_TASK = {
    "SLURM_PROCID": "0",
    "SLURM_NTASKS": "1",
    "SLURM_STEP_NUM_TASKS": "1",
    "JSM_NAMESPACE_RANK": "0",
    "JSM_NAMESPACE_SIZE": "1",
}
_TORCHRUN_ID = "TORCHELASTIC_RUN_ID"
# Lightning converts these to integers at import.
_READ_AT_IMPORT = ("RANK", "LOCAL_RANK", "SLURM_PROCID", "JSM_NAMESPACE_RANK")

_TORCHRUN, _SRUN, _LIGHTNING = "torchrun", "srun", "Lightning"
# In Lightning's order (torchrun may run inside a Slurm job): the variables of the rank and the number of processes, and
# one that this launcher always sets. Not SLURM_NTASKS for the number: a batch script has it without srun as well.
_LAUNCHERS = {
    _TORCHRUN: ("RANK", "WORLD_SIZE", _TORCHRUN_ID),
    _SRUN: ("SLURM_PROCID", "SLURM_STEP_NUM_TASKS", "SLURM_NTASKS"),
    _LIGHTNING: ("LOCAL_RANK", "WORLD_SIZE", "MASTER_PORT"),
}


@dataclass(frozen=True, slots=True)
class Launch:
    """The launcher of this process (empty without one), its rank from 0, and the number of processes."""

    launcher: str = ""
    rank: int = 0
    processes: int = 1


def current_launch() -> Launch:
    """Return the first launcher whose variables are set and consistent; one of several processes takes precedence."""
    launches = [
        Launch(launcher, _integer(rank), _integer(processes))
        for launcher, (rank, processes, mark) in _LAUNCHERS.items()
        if mark in os.environ and 0 <= _integer(rank) < _integer(processes)
    ]
    return next((launch for launch in launches if launch.processes > 1), launches[0] if launches else Launch())


def rank_of_this_process() -> int:
    """Return the rank that the launcher gave to this process; 0 without a launcher."""
    return current_launch().rank


def externally_started_processes() -> int:
    """Return the number of processes that torchrun or srun started for this run on all machines; 1 without them."""
    launch = current_launch()
    return 1 if launch.launcher == _LIGHTNING else launch.processes


def remove_malformed_ranks() -> None:
    """Remove rank variables that are not numbers, before Lightning is imported, and name them on stderr."""
    _remove([name for name in _READ_AT_IMPORT if _integer(name) < 0], "a rank is a number from 0")


def remove_foreign_ranks(processes: int) -> None:
    """Remove the rank variables that do not belong to this run of so many ``processes``, and name them on stderr.

    A run of one process ignores every launcher. A run of several starts the other processes itself, unless torchrun or
    srun did, or this process is one of as many that Lightning has started.

    Raises:
        UserError: torchrun started several processes for a run of one.
    """
    launch = current_launch()
    if processes == 1:
        if launch.launcher == _TORCHRUN and launch.processes > 1:
            raise UserError(
                f"{launch.processes} processes were started by torchrun, and this run has one: start it without "
                f"torchrun, or add trainer=ddp trainer.devices={launch.processes} to a training"
            )
        # Variables of a job of one task stay: Lightning requeues it in Slurm when its time is over.
        batch = any(os.environ.get(name, value) != value for name, value in _SINGLE_TASK.items())
        _remove([*_SINGLE_PROCESS, _TORCHRUN_ID, *(_SINGLE_TASK if batch else ())], "this run has one process")
    elif launch.launcher != _TORCHRUN and launch != Launch(_LIGHTNING, launch.rank, processes):
        _remove([*_SINGLE_PROCESS, _TORCHRUN_ID], "they are not of this run")


def require_common_folder(overrides: Sequence[str]) -> None:
    """Raise UserError if processes were started externally and no override names the run folder they share."""
    processes = externally_started_processes()
    if processes > 1 and not any(override.startswith("hydra.run.dir=") for override in overrides):
        raise UserError(
            f"{processes} processes were started, and each would write to a folder of its own: add "
            "hydra.run.dir=runs/NAME, and ckpt_path=last to continue that run"
        )


def _remove(names: Iterable[str], reason: str) -> None:
    """Remove the variables; name those that differ from the values in a run of one process."""
    removed = {name: os.environ.pop(name) for name in names if name in os.environ}
    single = _SINGLE_PROCESS | _SINGLE_TASK
    others = [f"{name}={value or repr(value)}" for name, value in removed.items() if value != single.get(name, value)]
    if others:
        print(
            f"ignored in the environment: {' '.join(others)}, because {reason} (one run on several devices: "
            "trainer=ddp trainer.devices=N under torchrun or srun, as docs/devices.md shows)",
            file=sys.stderr,
        )


def _integer(name: str) -> int:
    """Return the number in a variable; 0 if it is not set, -1 if it is not a number."""
    value = os.environ.get(name, "0")
    return int(value) if value.isdecimal() else -1
