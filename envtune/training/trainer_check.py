"""What a `GRPOModule` asks of its Trainer; anything else is refused before the first episode is played."""

from __future__ import annotations

from typing import Any

from lightning.pytorch.callbacks import LearningRateFinder

from envtune.errors import UserError
from envtune.training.weight_sync import PolicyPlayer

# The batches of other precisions would be converted, or their gradients scaled: an update clips gradients itself, and
# would clip those of 16-mixed before they are divided by the scale, so that a step is up to 65,536 times too short.
PRECISIONS = ("32-true", "bf16-mixed")
_ABBREVIATED = {"None": "32-true", "32": "32-true", "bf16": "bf16-mixed"}


def require_precision(precision: str | int | None) -> None:
    """Raise UserError unless an update can compute in ``precision``, as Lightning's Trainer takes it."""
    if _ABBREVIATED.get(str(precision), str(precision)) not in PRECISIONS:
        raise UserError(
            f"trainer.precision={precision} is not supported: use {' or '.join(PRECISIONS)}, and model.dtype for the "
            "type of the weights"
        )


def check_trainer(trainer: Any) -> None:
    """Validate the datamodule and the options of a Trainer.

    Raises:
        UserError: one of them cannot be used.
    """
    if not isinstance(trainer.datamodule, PolicyPlayer):
        raise UserError(
            "GRPOModule needs the datamodule itself, which plays every batch with the newest weights and whose state "
            "belongs to a checkpoint: give the Trainer datamodule=EnvironmentDataModule(…) instead of dataloaders"
        )
    require_precision(trainer.precision)
    if trainer.overfit_batches:
        raise UserError(
            f"overfit_batches={trainer.overfit_batches} cannot repeat batches, because each is played anew: use a "
            "source of few tasks instead (data.max_tasks, debug=overfit)"
        )
    if any(isinstance(callback, LearningRateFinder) for callback in trainer.callbacks):
        raise UserError(
            "a search for the learning rate follows a loss that falls as the policy improves, and that of GRPO does "
            "not: compare val/progress/overall of short runs (python train.py -m optimizer.lr=…)"
        )
