"""The progress of training: a bar in a terminal, and a log line for every update."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

import rich
from lightning import LightningModule, Trainer
from lightning.pytorch.callbacks import ProgressBar
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from typing_extensions import override

from envtune.training.reporting.metrics import resident_memory
from envtune.training.reporting.update_axis import last_update

log = logging.getLogger(__name__)

# Metric -> its label and format.
_SHOWN = {
    "reward/mean": ("reward", "{:.3f}"),
    "success": ("success", "{:.1%}"),
    "kl": ("KL", "{:.2g}"),
    "clone/loss": ("loss", "{:.3f}"),
    "clone/accuracy": ("accuracy", "{:.1%}"),
    "perf/step_time": ("seconds per update", "{:.1f}"),
}
_VALIDATED = {"val/success/overall": ("success", "{:.1%}"), "val/progress/overall": ("progress", "{:.1%}")}


class UpdateProgress(ProgressBar):
    """A progress bar with one step per update. Without a terminal only log lines are written."""

    def __init__(self) -> None:
        super().__init__()
        self._enabled = True
        self._bar: Progress | None = None
        self._task: Any = None

    @override
    def disable(self) -> None:
        self._enabled = False

    @override
    def enable(self) -> None:
        self._enabled = True

    @override
    def on_train_start(self, trainer: Trainer, module: LightningModule) -> None:
        if not (self._enabled and rich.get_console().is_terminal):
            return
        columns = (TextColumn("update"), MofNCompleteColumn(), BarColumn(), TextColumn("{task.fields[numbers]}"))
        self._bar = Progress(*columns, TimeElapsedColumn(), TimeRemainingColumn(), console=rich.get_console())
        total = last_update(trainer, module)
        self._task = self._bar.add_task("", total=total, completed=trainer.global_step, numbers="playing episodes")
        self._bar.start()

    @override
    def on_train_batch_end(self, trainer: Trainer, module: LightningModule, *_: Any) -> None:
        if not self._enabled:
            return
        numbers = describe(trainer.callback_metrics)
        total = last_update(trainer, module)
        log.info("update %d/%s  %s  resident memory %.2f GiB", trainer.global_step, total, numbers, resident_memory())
        if self._bar:
            self._bar.update(self._task, completed=trainer.global_step, numbers=numbers)

    @override
    def on_validation_start(self, trainer: Trainer, module: LightningModule) -> None:
        if self._enabled:
            log.info("validation after update %d: playing its tasks", trainer.global_step)

    @override
    def on_validation_end(self, trainer: Trainer, module: LightningModule) -> None:
        if self._enabled:
            numbers = describe(trainer.callback_metrics, _VALIDATED)
            log.info("validation after update %d  %s", trainer.global_step, numbers)

    @override
    def on_exception(self, trainer: Trainer, module: LightningModule, exception: BaseException) -> None:
        # Lightning does not call teardown after an error, and the terminal must be restored.
        self._close()

    @override
    def teardown(self, trainer: Trainer, module: LightningModule, stage: str) -> None:
        self._close()

    def _close(self) -> None:
        if self._bar:
            self._bar.stop()
            self._bar = None


def describe(metrics: Mapping[str, Any], shown: Mapping[str, tuple[str, str]] = _SHOWN) -> str:
    """Return the shown metrics with their labels: ``reward 0.312  success 4.2%  …``."""
    words = (f"{word} {form.format(float(metrics[name]))}" for name, (word, form) in shown.items() if name in metrics)
    return "  ".join(words)
