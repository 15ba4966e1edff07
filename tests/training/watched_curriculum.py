"""train.py in a process of its own, which keeps the weights that every stage starts with and can be killed (SIGKILL).

What is watched is hooked here, never in the product.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from interrupted_run import half_a_checkpoint, half_a_row

import train as program
from envtune.command_line import training_run
from envtune.training.curriculum import stages
from envtune.training.curriculum.best_checkpoint import BestCheckpoint
from envtune.training.datamodule import EnvironmentDataModule
from envtune.training.module import GRPOModule
from envtune.training.reporting.trajectory_log import TrajectoryLog
from envtune.training.run_folder.csv_log import CSVLog

ROOT = Path(__file__).parent.parent.parent
Hook = Callable[..., Any]
Condition = Callable[..., bool]


def _before(original: Hook, condition: Condition, action: Hook) -> Hook:
    """``original``, with ``action`` before the calls that fulfil ``condition``."""

    def watched(*arguments: Any, **options: Any) -> Any:
        if condition(*arguments, **options):
            action(*arguments, **options)
        return original(*arguments, **options)

    return watched


def _killed(owner: Any, name: str, condition: Condition, last: Hook | None = None) -> Callable[[], None]:
    """A hook: the process is gone when ``owner.name`` is called with arguments that fulfil ``condition``, before it
    does anything but ``last``.
    """

    def action(*arguments: Any, **options: Any) -> None:
        if last:
            last(*arguments, **options)
        os.kill(os.getpid(), signal.SIGKILL)

    return lambda: setattr(owner, name, _before(getattr(owner, name), condition, action))


def _after(update: int, updates_before: int | None = None) -> Condition:
    """Of a module or data module whose trainer has made ``update`` updates, in the stage that began then or any."""

    def holds(part: Any, *_: Any) -> bool:
        started = part.trainer.lightning_module.updates_before
        return part.trainer.global_step == update and updates_before in (None, started)

    return holds


def _saves(update: int, whole: bool) -> Condition:
    """Of the checkpoint of a run (``whole``) or of its weights alone."""
    return lambda checkpoint, _: checkpoint.get("global_step") == update and ("callbacks" in checkpoint) == whole


def _renames(name: str, stage: str) -> Condition:
    return lambda path, _: path.name == name and path.parent.parent.name == stage


def _record_of(stage: str) -> Condition:
    return lambda folder, records: records[-1].stage == stage


# Two updates in each stage, with a validation and a checkpoint after each: stage 2 makes updates 3 and 4.
MOMENTS: dict[str, Callable[[], None]] = {
    "before the curriculum is recorded": _killed(training_run, "write_run_record", lambda *_, **__: True),
    "in the validation before update 1": _killed(GRPOModule, "validation_step", _after(0)),
    "in the middle of the best checkpoint of the start": _killed(torch, "save", _saves(0, False), half_a_checkpoint),
    "in the rollout of update 1": _killed(EnvironmentDataModule, "_play_groups", _after(0)),
    "in update 1": _killed(GRPOModule, "training_step", _after(0)),
    "in the middle of the checkpoint of update 1": _killed(torch, "save", _saves(1, True), half_a_checkpoint),
    "in the validation after update 2": _killed(GRPOModule, "validation_step", _after(2, 0)),
    "before stage 1 is recorded": _killed(stages, "write_stage_records", _record_of("1")),
    "before stage 2 is recorded as begun": _killed(
        training_run, "write_run_record", lambda folder, *_, **__: folder.endswith("stage_2")
    ),
    "in the validation at the start of stage 2": _killed(GRPOModule, "validation_step", _after(2, 2)),
    "in update 3": _killed(GRPOModule, "training_step", _after(2)),
    "in the row of update 3": _killed(CSVLog, "log_metrics", lambda log, metrics, step: step == 3, half_a_row),
    "in the rollout of update 4": _killed(EnvironmentDataModule, "_play_groups", _after(3)),
    "between two renames of the checkpoint of stage 2": _killed(
        Path, "replace", _renames("last.ckpt.partial", "stage_2")
    ),
    "before stage 2 is recorded": _killed(stages, "write_stage_records", _record_of("2")),
    "in update 6": _killed(GRPOModule, "training_step", _after(5)),
    "in the middle of the best checkpoint of update 6": _killed(torch, "save", _saves(6, False), half_a_checkpoint),
    "in the trajectories of update 7": _killed(
        TrajectoryLog, "_write", lambda _, trainer, *__: trainer.global_step == 7
    ),
    "in the validation after update 8": _killed(GRPOModule, "validation_step", _after(8)),
    "after the last stage is recorded": _killed(training_run, "stages_table", lambda *_: True),
}


def _keep_start(trainer: Any, module: Any, updates: int) -> None:
    weights = {"policy": module.policy.model.state_dict(), "reference": module.policy.reference.state_dict()}
    torch.save(weights, Path(trainer.default_root_dir) / "start.pt")


def play(arguments: list[str], moment: str | None, output: Path) -> None:
    """The body of a process: `python train.py ARGUMENTS`, up to ``moment``."""
    with output.open("a") as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
    os.chdir(ROOT)
    torch.set_num_threads(1)
    training_run.continue_update_count = _before(training_run.continue_update_count, lambda *_: True, _keep_start)
    # Better at every validation, so that the best checkpoint is a later one than the first.
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
    process.start()
    process.join()
    assert process.exitcode is not None
    return process.exitcode
