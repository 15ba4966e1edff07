"""What a run was set to beside what came of it, for TensorBoard's HPARAMS tab, which compares runs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from lightning.pytorch.loggers import Logger, TensorBoardLogger


def log_outcome(
    loggers: Iterable[Logger], settings: Mapping[str, str], validation: Mapping[str, float], update: int
) -> None:
    """Logs ``settings`` as hyperparameters, and as their outcome `val/…` of ``validation`` under the name `hp/…`."""
    outcome = {f"hp/{name.removeprefix('val/')}": value for name, value in validation.items()}
    for logger in loggers:
        if isinstance(logger, TensorBoardLogger):
            logger.log_hyperparams(dict(settings), outcome, step=update)
            logger.save()
