"""How updates are counted where a stage goes on with the count of the stages before it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from lightning import Trainer


def count_on(trainer: Trainer, module: Any, updates: int) -> None:
    """Makes the next fit begin its count after ``updates``, with as many updates of its own as without it.

    So every number that is logged, saved or named by an update stands on one axis for all stages. A checkpoint that the
    fit continues from brings its own count.
    """
    module.updates_before = updates
    loop = trainer.fit_loop.epoch_loop
    loop.manual_optimization.optim_step_progress.total.completed = updates
    if loop.max_steps != -1:
        loop.max_steps += updates


def last_update(trainer: Trainer, module: Any) -> float:
    """The update that the running fit ends with if nothing stops it."""
    limits = [trainer.max_steps] if trainer.max_steps != -1 else []
    if trainer.max_epochs not in (None, -1):
        limits.append(module.updates_before + trainer.num_training_batches * trainer.max_epochs)
    return min(limits, default=float("inf"))


@contextmanager
def unlogged(trainer: Trainer, where: bool) -> Iterator[None]:
    """Keeps what is measured inside off the curves, if ``where``.

    A stage validates its start at the update at which the stage before validated its end, with other weights or
    lengths; a curve has one point for each update.
    """
    loggers = trainer.loggers
    trainer.loggers = [] if where else loggers
    try:
        yield
    finally:
        trainer.loggers = loggers
