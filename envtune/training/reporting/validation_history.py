"""The results of validations for the tables at the end of a run, kept across a resume."""

from __future__ import annotations

from typing import Any

from lightning import Callback, LightningModule, Trainer
from typing_extensions import override

SUCCESS = "val/success/overall"


class ValidationHistory(Callback):
    """Keep the first and the newest validation by name (`val/success/base` …), and the curve of overall success."""

    def __init__(self) -> None:
        self.before: dict[str, float] = {}
        self.after: dict[str, float] = {}
        self.newest_update = -1
        """The update of ``after``; -1 before the first validation."""
        self.curve: list[tuple[int, float]] = []

    @override
    def on_validation_end(self, trainer: Trainer, module: LightningModule) -> None:
        metrics = trainer.callback_metrics.items()
        self.after = {name: float(value) for name, value in metrics if name.startswith("val/")}
        self.before = self.before or self.after
        self.newest_update = trainer.global_step
        if SUCCESS in self.after:
            self.curve.append((trainer.global_step, self.after[SUCCESS]))

    @override
    def state_dict(self) -> dict[str, Any]:
        return {"before": self.before, "after": self.after, "newest_update": self.newest_update, "curve": self.curve}

    @override
    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.before, self.after = state_dict["before"], state_dict["after"]
        self.newest_update = state_dict["newest_update"]
        self.curve = [(update, share) for update, share in state_dict["curve"]]
