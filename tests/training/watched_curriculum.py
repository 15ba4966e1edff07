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

ROOT = Path(__file__).parent.parent.parent
sys.path.insert(0, str(ROOT))

import torch  # noqa: E402

import train as program  # noqa: E402
from envtune.training import curriculum  # noqa: E402
from envtune.training.callbacks.best_checkpoint import BestCheckpoint  # noqa: E402
from envtune.training.module import GRPOModule  # noqa: E402

Hook = Callable[..., Any]


def _killed(*_: Any) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def _before(original: Hook, condition: Callable[..., bool], action: Hook) -> Hook:
    """``original``, with ``action`` before the calls that fulfil ``condition``."""

    def watched(*arguments: Any, **options: Any) -> Any:
        if condition(*arguments, **options):
            action(*arguments, **options)
        return original(*arguments, **options)

    return watched


def _in_update(update: int) -> None:
    GRPOModule.training_step = _before(
        GRPOModule.training_step, lambda module, *_: module.trainer.global_step == update - 1, _killed
    )


def _before_the_record_of(stage: str) -> None:
    curriculum.write_stage_records = _before(
        curriculum.write_stage_records, lambda folder, records: records[-1].stage == stage, _killed
    )


# Two updates in each stage: 3 is the first of stage 2, before its first checkpoint, 6 the second of stage 3.
MOMENTS: dict[str, Callable[[], None]] = {
    "in update 3": lambda: _in_update(3),
    "before stage 2 is recorded": lambda: _before_the_record_of("2"),
    "in update 6": lambda: _in_update(6),
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
    program.count_on = _before(program.count_on, lambda *_: True, _keep_start)
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
