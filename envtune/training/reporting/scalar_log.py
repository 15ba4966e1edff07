"""Numbers on their way to the loggers, each at the update that it is of."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from lightning import Trainer
from lightning.pytorch.loggers import Logger, TensorBoardLogger


def log_scalars(trainer: Trainer, scalars: Mapping[str, float]) -> None:
    """Logs ``scalars`` as of the newest update, in a curriculum counted through all stages.

    Lightning's own way to the loggers repeats a name's last value for every update that has none, so that a curve tells
    what was not measured, and a continued run something else than an uninterrupted one. It also counts one too low.
    """
    for logger in trainer.loggers:
        if scalars:
            logger.log_metrics(dict(scalars), step=trainer.global_step)
            logger.save()


def log_outcome(
    loggers: Iterable[Logger], settings: Mapping[str, str], validation: Mapping[str, float], update: int
) -> None:
    """Logs ``settings`` as hyperparameters, and as their outcome `val/…` of ``validation`` under the name `hp/…`."""
    outcome = {f"hp/{name.removeprefix('val/')}": value for name, value in validation.items()}
    for logger in loggers:
        if isinstance(logger, TensorBoardLogger):
            logger.log_hyperparams(dict(settings), outcome, step=update)
            logger.save()
