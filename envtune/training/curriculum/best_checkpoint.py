"""A checkpoint of the best validation, including the one before training."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from lightning import LightningModule, Trainer
from lightning.pytorch.callbacks import Checkpoint
from typing_extensions import override

from envtune.checked import checked
from envtune.errors import UserError
from envtune.training.reporting.metrics import ValidationName
from envtune.training.run_folder.checkpoint_io import previous_of
from envtune.training.run_folder.checkpoint_names import BEST_CHECKPOINT


@checked
class BestCheckpoint(Checkpoint):
    """Write the weights to ``folder``/best.ckpt whenever a validation is better than all earlier ones.

    Unlike Lightning's ``ModelCheckpoint``, it also counts validations outside of ``fit``: before training, so that a
    stage that only gets worse passes on the weights it started from, and after it, so that a run that is shorter than
    the validation interval has a best checkpoint. Of equal validations the first counts, except that any later one
    replaces the start: a few validation tasks may not show what a stage has learned.

    Args:
        folder: the folder of the checkpoint.
        monitor: the result of validation that is compared.
        mode: whether the greatest ("max") or the smallest ("min") result is the best.

    Raises:
        UserError: an argument is not allowed; at the first validation: ``monitor`` is of a category without tasks.
    """

    def __init__(
        self, folder: str, monitor: ValidationName = "val/progress/overall", mode: Literal["max", "min"] = "max"
    ) -> None:
        self.path = Path(folder) / BEST_CHECKPOINT
        self.monitor, self._mode = monitor, mode
        self.value: float | None = None
        """The best result of ``monitor``."""
        self.update = -1
        """The number of updates before the best validation; -1 before the first validation."""
        self.files = [self.path, previous_of(self.path)]
        """The files that this callback writes."""

    @override
    def on_validation_end(self, trainer: Trainer, module: LightningModule) -> None:
        if trainer.sanity_checking:
            return
        measured, best = self._measure(trainer), self.value
        better = best is None or (measured > best if self._mode == "max" else measured < best)
        replaces_start = measured == best and self.update == getattr(module, "updates_before", 0)
        if better or replaces_start:
            trainer.save_checkpoint(self.path, weights_only=True)
            self.value, self.update = measured, trainer.global_step

    def _measure(self, trainer: Trainer) -> float:
        metrics = trainer.callback_metrics
        if self.monitor not in metrics:
            names = ", ".join(sorted(name for name in metrics if name.startswith("val/")))
            raise UserError(f"callbacks.best.monitor={self.monitor} is not a result of validation; use one of {names}")
        return float(metrics[self.monitor])

    @override
    def state_dict(self) -> dict[str, Any]:
        return {"value": self.value, "update": self.update}

    @override
    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        # A new run that starts from another run's checkpoint does not have a best checkpoint yet.
        if self.path.is_file():
            self.value, self.update = state_dict["value"], state_dict["update"]
