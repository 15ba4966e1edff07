"""train.py in a process that is killed (SIGKILL), asked to end (SIGTERM) or left without a disk at a chosen moment.

The moments are hooked here, never in the product.

The processes are forked from a server that has imported everything, so that each costs little more than its updates.
"""

from __future__ import annotations

import io
import multiprocessing
import os
import random
import resource
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import shape_checks  # noqa: F401
import torch

import train as program
from envtune.command_line import training_run
from envtune.environment.augmentation.annealed import Annealed
from envtune.reward.breakdown import RewardBreakdown, RewardPart
from envtune.rollout.collector import Collector
from envtune.training.curriculum.best_checkpoint import BestCheckpoint
from envtune.training.module import GRPOModule
from envtune.training.reporting.trajectory_log import TrajectoryLog
from envtune.training.resume.last_checkpoint import LastCheckpoint
from envtune.training.run_folder.csv_log import CSVLog
from envtune.trajectory import Trajectory

ROOT = Path(__file__).parent.parent.parent
Condition = Callable[..., bool]
Last = Callable[..., None]


class CoinReward:
    """0 or 1 by a throw of every process-wide generator: about half of the groups of two have no variance."""

    def __call__(self, trajectory: Trajectory) -> RewardBreakdown:
        throws = (random.random(), float(np.random.random()), float(torch.rand(())))
        return RewardBreakdown((RewardPart("coin", float(int(sum(throws) * 1000) % 2)),))


def killed(owner: Any, name: str, condition: Condition, last: Last | None = None, call: int = 1) -> Callable[[], None]:
    """A hook: the process is gone when ``owner.name`` is called for the ``call``-th time with arguments that fulfil
    ``condition``, before it does anything but ``last``.
    """

    def hook() -> None:
        original, calls = getattr(owner, name), [0]

        def watched(*arguments: Any, **options: Any) -> Any:
            calls[0] += condition(*arguments, **options)
            if calls[0] == call:
                if last:
                    last(*arguments, **options)
                os.kill(os.getpid(), signal.SIGKILL)
            return original(*arguments, **options)

        setattr(owner, name, watched)

    return hook


def asked_to_end(owner: Any, name: str, condition: Condition, number: int = signal.SIGTERM) -> Callable[[], None]:
    """A hook: the process gets a signal whenever ``owner.name`` is called with arguments that fulfil ``condition``."""

    def hook() -> None:
        original = getattr(owner, name)

        def watched(*arguments: Any, **options: Any) -> Any:
            if condition(*arguments, **options):
                os.kill(os.getpid(), number)
            return original(*arguments, **options)

        setattr(owner, name, watched)

    return hook


def _trains(version: int) -> Condition:
    return lambda collector, request, hints: collector.generator.policy_version == version and type(hints) is Annealed


def _at(update: int) -> Condition:
    return lambda trainer_or_module, *_: getattr(trainer_or_module, "trainer", trainer_or_module).global_step == update


def _callback_at(update: int) -> Condition:
    return lambda callback, trainer, module: trainer.global_step == update


def full_disk(owner: Any, name: str, condition: Condition, size: int) -> Callable[[], None]:
    """A hook: from the first call of ``owner.name`` with arguments that fulfil ``condition``, no file can be written
    beyond ``size`` bytes.
    """

    def hook() -> None:
        original = getattr(owner, name)

        def watched(*arguments: Any, **options: Any) -> Any:
            if condition(*arguments, **options):
                resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))
            return original(*arguments, **options)

        setattr(owner, name, watched)

    return hook


def half_a_checkpoint(checkpoint: Any, file: Any) -> None:
    whole = io.BytesIO()
    _SAVE(checkpoint, whole)
    file.write(whole.getvalue()[: whole.tell() // 2])
    file.flush()


def half_a_row(log: Any, metrics: Any, step: int) -> None:
    with log._path.open("a") as file:
        file.write("0.5,0.25")


_SAVE = torch.save
# In the order of the run: six updates, validations after 2, 4 and 6, checkpoints of the whole run after 2, 3, 4 and 6.
MOMENTS: dict[str, Callable[[], None]] = {
    "asked to end in the first validation": asked_to_end(GRPOModule, "validation_step", _at(0)),
    "in the first rollout": killed(Collector, "_start", _trains(0), call=3),
    "in the middle of the checkpoint of update 3": killed(
        torch, "save", lambda checkpoint, file: checkpoint["global_step"] == 3, half_a_checkpoint
    ),
    "on a full disk in the checkpoint of update 3": full_disk(
        torch, "save", lambda checkpoint, file: checkpoint["global_step"] == 3, 50_000
    ),
    "interrupted in the rollout of update 4": asked_to_end(Collector, "_start", _trains(3), signal.SIGINT),
    "in the rollout of update 4": killed(Collector, "_start", _trains(3), call=3),
    "in the validation after update 4": killed(GRPOModule, "validation_step", _at(4)),
    "with the row of validation 4 written and its trajectories not": killed(
        TrajectoryLog, "on_validation_end", _callback_at(4)
    ),
    "between the best checkpoint and that of the run": killed(LastCheckpoint, "on_rollout_start", _callback_at(4)),
    "between two renames": killed(Path, "replace", lambda path, _: path.name == "last.ckpt.partial"),
    "in the row of update 5": killed(CSVLog, "log_metrics", lambda log, metrics, step: step == 5, half_a_row),
    "right after the optimiser step of update 6": killed(GRPOModule, "_log_rollout", _at(6)),
    "after the last checkpoint, before the table": killed(training_run, "validation_table", lambda *_: True),
}


def play(arguments: list[str], moment: str | None, output: Path) -> None:
    """The body of a process: `python train.py ARGUMENTS`, up to ``moment``."""
    with output.open("a") as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
    os.chdir(ROOT)
    # A shell starts what runs in the background with SIGINT ignored, and its child processes inherit that.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    torch.set_num_threads(1)
    # The levels of a model that learns: otherwise hints would have the same probability all the time.
    Annealed.measured = lambda _, trajectory: (trajectory.seed % 5) / 4  # type: ignore[method-assign]
    # Better at every validation, so that the best checkpoint has to go back too.
    BestCheckpoint._measure = lambda _, trainer: float(trainer.global_step)  # type: ignore[method-assign]
    if moment:
        MOMENTS[moment]()
    sys.argv = ["train.py", *arguments]
    program.train()


def run(arguments: list[str], output: Path, moment: str | None = None) -> int:
    """The exit code of the process, -9 if it was killed; what it prints is appended to ``output``."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([__name__])
    process = context.Process(target=play, args=(arguments, moment, output))
    # The server imports before it is told this process's path.
    with patch.dict(os.environ, PYTHONPATH=os.pathsep.join(sys.path)):
        process.start()
    process.join()
    assert process.exitcode is not None
    return process.exitcode
