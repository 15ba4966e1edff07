"""What a `GRPOModule` cannot do for a Trainer, each in one sentence, before the first episode is played."""

from __future__ import annotations

from typing import Any

from lightning.pytorch.callbacks import BatchSizeFinder, LearningRateFinder

from envtune.errors import UserError
from envtune.training.weight_sync import PolicyPlayer


def check_trainer(trainer: Any) -> None:
    """Validate the datamodule and the options of a Trainer.

    Raises:
        UserError: one of them cannot be used.
    """
    if not isinstance(trainer.datamodule, PolicyPlayer):
        raise UserError(
            "GRPOModule needs the datamodule itself, which plays every batch with its newest weights and whose state "
            "belongs to a checkpoint: give the Trainer datamodule=EnvironmentDataModule(…), not dataloaders"
        )
    if trainer.overfit_batches:
        raise UserError(
            f"overfit_batches={trainer.overfit_batches} cannot repeat batches, because each is played anew: give a "
            "source with a few tasks instead (data.max_tasks, debug=overfit)"
        )
    if trainer.precision == "16-mixed":
        raise UserError(
            "trainer.precision=16-mixed scales the gradients, whose norm would be clipped and logged at that scale: "
            "use bf16-mixed or 32-true"
        )
    for callback in trainer.callbacks:
        if isinstance(callback, LearningRateFinder | BatchSizeFinder):
            raise UserError(
                f"{type(callback).__name__} searches by a loss that falls as the policy improves, which that of GRPO "
                "does not: compare val/progress/overall of short runs (python train.py -m optimizer.lr=…)"
            )
