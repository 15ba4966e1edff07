"""Remembers what validation found, also across a continued run, for the tables at the end."""

from __future__ import annotations

from typing import Any

from lightning import Callback, LightningModule, Trainer

SUCCESS = "val/success/overall"


class ValidationHistory(Callback):
    """``before`` and ``after`` map names (`val/success/base` …) to numbers; ``after`` is of ``newest_update``.

    ``curve`` has the update and the overall success of every validation.
    """

    def __init__(self) -> None:
        self.before: dict[str, float] = {}
        self.after: dict[str, float] = {}
        self.newest_update = -1
        self.curve: list[tuple[int, float]] = []

    def on_validation_end(self, trainer: Trainer, module: LightningModule) -> None:
        metrics = trainer.callback_metrics.items()
        self.after = {name: float(value) for name, value in metrics if name.startswith("val/")}
        self.before = self.before or self.after
        self.newest_update = trainer.global_step
        if SUCCESS in self.after:
            self.curve.append((trainer.global_step, self.after[SUCCESS]))

    def state_dict(self) -> dict[str, Any]:
        return {"before": self.before, "after": self.after, "newest_update": self.newest_update, "curve": self.curve}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.before, self.after = state_dict["before"], state_dict["after"]
        self.newest_update = state_dict["newest_update"]
        self.curve = [(update, share) for update, share in state_dict["curve"]]
