"""A run that is asked to end (SIGTERM) ends, and says how to go on. Lightning ends it between two updates."""

from __future__ import annotations

import logging
import shlex
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from lightning.pytorch import LightningDataModule, LightningModule, Trainer
from lightning.pytorch.utilities.exceptions import SIGTERMException

log = logging.getLogger(__name__)

EXIT_CODE = 128 + signal.SIGTERM


@contextmanager
def ended_by_sigterm(run_folder: str) -> Iterator[None]:
    """Turns Lightning's exception, with which the process would end as if all were done, into the usual exit code."""
    try:
        yield
    except SIGTERMException:
        folder = shlex.quote(f"ckpt_path={run_folder}")
        log.warning("ended by SIGTERM: python train.py %s goes on from the newest checkpoint", folder)
        sys.exit(EXIT_CODE)


def validate(trainer: Trainer, module: LightningModule, datamodule: LightningDataModule) -> None:
    """Validates outside of `fit`. Lightning looks for SIGTERM between batches, and this validation has but one.

    Raises:
        SIGTERMException: it came meanwhile.
    """
    trainer.validate(module, datamodule, verbose=False)
    if trainer.received_sigterm:
        raise SIGTERMException
