"""Which of several processes of a run this is, by what its launcher set in the environment and by the run's devices.

The first process, rank 0, keeps the records of a run and speaks to the terminal. Environments of containers, notebooks
and batch jobs name ranks that are of no run: such variables are removed, for Lightning reads them too. Imports no
Lightning.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from envtune.errors import UserError

_NAMES_FOLDER = "hydra.run.dir="
_SWEEPS = ("-m", "--multirun")


# What a process has that is alone: by variables that Lightning reads, in every process or of batch systems.
_RANKS_ALONE = {"RANK": "0", "LOCAL_RANK": "0", "GROUP_RANK": "0", "NODE_RANK": "0", "WORLD_SIZE": "1"}
_BATCH_ALONE = {
    "SLURM_PROCID": "0",
    "SLURM_NTASKS": "1",
    "SLURM_STEP_NUM_TASKS": "1",
    "JSM_NAMESPACE_RANK": "0",
    "JSM_NAMESPACE_SIZE": "1",
}
_MARK_OF_TORCHRUN = "TORCHELASTIC_RUN_ID"
# What Lightning makes an integer of as soon as it is imported.
_READ_AT_IMPORT = ("RANK", "LOCAL_RANK", "SLURM_PROCID", "JSM_NAMESPACE_RANK")

_TORCHRUN, _SRUN, _LIGHTNING = "torchrun", "srun", "Lightning"
# In the order in which Lightning looks for them (torchrun may run inside a job of Slurm): the variables that hold the
# rank and the number of processes, and one without which the process was not started so. Not SLURM_NTASKS for the
# number: a batch script has it without srun, too.
_LAUNCHERS = {
    _TORCHRUN: ("RANK", "WORLD_SIZE", _MARK_OF_TORCHRUN),
    _SRUN: ("SLURM_PROCID", "SLURM_STEP_NUM_TASKS", "SLURM_NTASKS"),
    _LIGHTNING: ("LOCAL_RANK", "WORLD_SIZE", "MASTER_PORT"),
}


@dataclass(frozen=True, slots=True)
class Launch:
    """What started this process: as number ``rank``, from 0, of ``processes``."""

    launcher: str = ""
    rank: int = 0
    processes: int = 1


def launch_of_this_process() -> Launch:
    """The first launcher whose variables are all set and agree, with preference for one that started several."""
    launches = [
        Launch(launcher, _integer(rank), _integer(processes))
        for launcher, (rank, processes, mark) in _LAUNCHERS.items()
        if mark in os.environ and 0 <= _integer(rank) < _integer(processes)
    ]
    return next((launch for launch in launches if launch.processes > 1), launches[0] if launches else Launch())


def rank_of_this_process() -> int:
    """From 0; 0 for a process alone."""
    return launch_of_this_process().rank


def processes_from_outside() -> int:
    """How many processes torchrun or srun has started for this run, on all machines; 1 if neither did."""
    launch = launch_of_this_process()
    return 1 if launch.launcher == _LIGHTNING else launch.processes


def launch_is_named() -> bool:
    """Whether the environment has a variable of a launcher, of whichever run."""
    return any(name in os.environ for name in (*_RANKS_ALONE, *_BATCH_ALONE))


def ignore_malformed() -> None:
    """Removes ranks that are not numbers, before Lightning is imported; a sentence on stderr names them."""
    _ignore([name for name in _READ_AT_IMPORT if _integer(name) < 0], "a rank is a number from 0")


def settle(processes: int) -> None:
    """Removes from the environment what is not of this run, which has so many ``processes``; a sentence names it.

    A run of one process is a run of its own, whatever started it. A run of several starts the others itself, unless
    torchrun or srun did, or Lightning has started this process as one of as many.

    Raises:
        UserError: torchrun started several processes for a run of one.
    """
    launch = launch_of_this_process()
    if processes == 1:
        if launch.launcher == _TORCHRUN and launch.processes > 1:
            raise UserError(
                f"{launch.processes} processes were started by torchrun, and this run has one: start it without "
                f"torchrun, or add trainer=ddp trainer.devices={launch.processes} to a training"
            )
        # A job of one task stays one, which Lightning puts into Slurm's queue again when its time is over.
        batch = any(os.environ.get(name, value) != value for name, value in _BATCH_ALONE.items())
        _ignore([*_RANKS_ALONE, _MARK_OF_TORCHRUN, *(_BATCH_ALONE if batch else ())], "this run has one process")
    elif launch.launcher != _TORCHRUN and launch != Launch(_LIGHTNING, launch.rank, processes):
        _ignore([*_RANKS_ALONE, _MARK_OF_TORCHRUN], "they are not of this run")


def arguments_of_rank(arguments: Sequence[str]) -> list[str]:
    """The command line for Hydra: only the first process writes down the settings, each logs to a file of its own.

    Raises:
        UserError: processes were started from outside, and each would make a run folder of its own.
    """
    names_folder = any(argument.startswith(_NAMES_FOLDER) for argument in arguments)
    processes = processes_from_outside()
    if processes > 1 and not names_folder and not {*_SWEEPS} & {*arguments}:
        raise UserError(
            f"{processes} processes were started, and each would write to a folder of its own: add "
            f"{_NAMES_FOLDER}runs/NAME, and ckpt_path=last to continue that run"
        )
    rank = rank_of_this_process()
    return [*arguments, "hydra.output_subdir=null", f"hydra.job.name=rank_{rank}"] if rank else list(arguments)


def _ignore(names: Iterable[str], reason: str) -> None:
    """Removes the variables; names those that differ from what a process alone has, on stderr."""
    found = {name: os.environ.pop(name) for name in names if name in os.environ}
    alone = _RANKS_ALONE | _BATCH_ALONE
    others = [f"{name}={value or repr(value)}" for name, value in found.items() if value != alone.get(name, value)]
    if others:
        print(
            f"ignored in the environment: {' '.join(others)}, because {reason} (one run on several devices: "
            "trainer=ddp trainer.devices=N under torchrun or srun, as docs/devices.md shows)",
            file=sys.stderr,
        )


def _integer(name: str) -> int:
    """The number that the variable holds; 0 if it is not set, -1 if it is not a number."""
    value = os.environ.get(name, "0")
    return int(value) if value.isdecimal() else -1
