"""Scalars for the loggers, at the update to which they belong."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from lightning import Trainer
from lightning.pytorch.loggers import Logger, TensorBoardLogger


def log_scalars(trainer: Trainer, scalars: Mapping[str, float]) -> None:
    """Log ``scalars`` at the newest update, counted through all stages of a curriculum.

    Lightning's ``log`` repeats the last value of a name for every update without one, so that curves would show values
    that were not measured, and differ after a resume. Its step is also too low by one.
    """
    for logger in trainer.loggers:
        if scalars:
            logger.log_metrics(dict(scalars), step=trainer.global_step)
            logger.save()


def log_outcome(
    loggers: Iterable[Logger], settings: Mapping[str, str], validation: Mapping[str, float], update: int
) -> None:
    """Log ``settings`` as hyperparameters, and `val/…` of ``validation`` as their metrics `hp/…`, to TensorBoard."""
    outcome = {f"hp/{name.removeprefix('val/')}": value for name, value in validation.items()}
    for logger in loggers:
        if isinstance(logger, TensorBoardLogger):
            logger.log_hyperparams(dict(settings), outcome, step=update)
            logger.save()
