"""Which one of several processes of a run this is, told by what started them, before they know of each other.

The first process, rank 0, keeps the records of a run and speaks to the terminal. Imports no Lightning.
"""

from __future__ import annotations

import os
from collections.abc import Sequence

from envtune.errors import UserError

# Set by torchrun; by Lightning for the processes that it starts on this machine; by srun. In this order, as Lightning
# looks for them: torchrun may run inside a job of Slurm.
_RANK = ("RANK", "LOCAL_RANK", "SLURM_PROCID")
_NAMES_FOLDER = "hydra.run.dir="
_SWEEPS = ("-m", "--multirun")


def rank_of_this_process() -> int:
    """From 0; 0 for a process alone."""
    return int(next((os.environ[name] for name in _RANK if name in os.environ), 0))


def processes_from_outside() -> int:
    """How many processes torchrun or srun has started for this run, on all machines; 1 if neither did."""
    if "TORCHELASTIC_RUN_ID" in os.environ:
        return int(os.environ["WORLD_SIZE"])
    # Not SLURM_NTASKS, which a batch script has without srun too.
    return int(os.environ.get("SLURM_STEP_NUM_TASKS", 1))


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
