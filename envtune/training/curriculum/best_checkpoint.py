"""Keeps the weights of the best validation, that of the start included."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from lightning import LightningModule, Trainer
from lightning.pytorch.callbacks import Checkpoint

from envtune.checked import checked
from envtune.errors import UserError
from envtune.training.reporting.metrics import ValidationName
from envtune.training.run_folder.checkpoint_io import previous_of

BEST_CHECKPOINT = "best.ckpt"


@checked
class BestCheckpoint(Checkpoint):
    """Writes the weights to ``folder``/best.ckpt whenever validation is better than at all earlier ones.

    Validations outside of ``fit`` count too, which those of Lightning's ``ModelCheckpoint`` do not: before training, so
    that a stage that only gets worse hands on the weights it started from, and after it, so that a run that is shorter
    than the interval between validations has a best checkpoint. Among equal validations the first one counts, except
    that the start loses to whatever equals it: a stage may learn what ``monitor`` does not measure.

    ``value`` is that of the best validation, of the weights after ``update``; None and -1 before the first one.

    Args:
        folder: of the checkpoint.
        monitor: the result of validation that is compared.
        mode: "max" or "min", whichever is better.

    Raises:
        UserError: an argument that is not allowed; at the first validation: ``monitor`` is of a category without tasks.
    """

    def __init__(
        self, folder: str, monitor: ValidationName = "val/progress/overall", mode: Literal["max", "min"] = "max"
    ) -> None:
        self.path = Path(folder) / BEST_CHECKPOINT
        self._monitor, self._mode = monitor, mode
        self.value: float | None = None
        self.update = -1

    @property
    def files(self) -> list[Path]:
        """What is written to the disk, for the run's record."""
        return [self.path, previous_of(self.path)]

    def on_validation_end(self, trainer: Trainer, module: LightningModule) -> None:
        if trainer.sanity_checking:
            return
        measured = self._measure(trainer)
        start = getattr(module, "updates_before", 0)
        if not self._is_better(measured) and not (measured == self.value and self.update == start):
            return
        trainer.save_checkpoint(self.path, weights_only=True)
        self.value, self.update = measured, trainer.global_step

    def _measure(self, trainer: Trainer) -> float:
        metrics = trainer.callback_metrics
        if self._monitor not in metrics:
            names = ", ".join(sorted(name for name in metrics if name.startswith("val/")))
            raise UserError(f"callbacks.best.monitor={self._monitor} is not a result of validation; use one of {names}")
        return float(metrics[self._monitor])

    def _is_better(self, measured: float) -> bool:
        if self.value is None:
            return True
        return measured > self.value if self._mode == "max" else measured < self.value

    def state_dict(self) -> dict[str, Any]:
        return {"value": self.value, "update": self.update}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        # A new run that starts from the checkpoint of another one has no best checkpoint of its own yet.
        if self.path.is_file():
            self.value, self.update = state_dict["value"], state_dict["update"]
