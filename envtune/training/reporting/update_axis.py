"""The common count of updates through the stages of a curriculum."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from lightning import Trainer


def continue_update_count(trainer: Trainer, module: Any, updates: int) -> None:
    """Start the update count of the next fit at ``updates``, without changing its number of updates.

    Logs, checkpoints and file names of all stages then share one axis. A resumed checkpoint restores its own count.
    """
    module.updates_before = updates
    loop = trainer.fit_loop.epoch_loop
    loop.manual_optimization.optim_step_progress.total.completed = updates
    if loop.max_steps != -1:
        loop.max_steps += updates


def limit_updates(trainer: Trainer, updates: float) -> None:
    """Stop the next fit after at most so many ``updates``, beside the limits that it has; infinity adds none.

    Call it before `continue_update_count`.
    """
    loop = trainer.fit_loop.epoch_loop
    if updates < math.inf:
        loop.max_steps = int(updates) if loop.max_steps == -1 else min(int(updates), loop.max_steps)


def last_update(trainer: Trainer, module: Any) -> float:
    """Return the last update of the running fit, unless it is stopped."""
    limits = [trainer.max_steps] if trainer.max_steps != -1 else []
    if trainer.max_epochs not in (None, -1):
        limits.append(module.updates_before + trainer.num_training_batches * trainer.max_epochs)
    return min(limits, default=float("inf"))


@contextmanager
def logging_disabled(trainer: Trainer, disabled: bool) -> Iterator[None]:
    """Disable the loggers within the block, if ``disabled``.

    A stage validates its start at the update at which the previous stage validated its end, and a curve has only one
    point per update.
    """
    loggers = trainer.loggers
    trainer.loggers = [] if disabled else loggers
    try:
        yield
    finally:
        trainer.loggers = loggers
