"""The end of a stage: its reason and its checkpoints."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from lightning import Trainer

from envtune.training.curriculum.best_checkpoint import BestCheckpoint
from envtune.training.curriculum.stage_transition import StageTransition
from envtune.training.reporting.validation_history import ValidationHistory


@dataclass(frozen=True, slots=True)
class StageEnd:
    """The outcome of a stage."""

    last_update: int
    reason: str
    collapsed: bool
    last: Path
    """Checkpoint of the stage's end."""
    best: Path | None
    """Checkpoint of its best validation; None without a callback that keeps it."""
    best_value: float | None
    """Result of that validation."""
    before: Mapping[str, float]
    """Results of the validation at its start."""
    after: Mapping[str, float]
    """Results of the validation at its end."""
    curve: Sequence[tuple[int, float]] = ()
    """Update and overall success of each validation."""
    best_metric: str | None = None
    """Name of the result by which the best validation was chosen."""


def stage_end(trainer: Trainer, updates_before: int, last: Path, history: ValidationHistory) -> StageEnd:
    """Return the outcome of a stage after its fit and the validation of its ``last`` checkpoint."""
    callbacks = trainer.callbacks  # type: ignore[attr-defined]
    transition = next((callback for callback in callbacks if isinstance(callback, StageTransition)), None)
    best = next((callback for callback in callbacks if isinstance(callback, BestCheckpoint)), None)
    updates = trainer.global_step - updates_before
    if updates >= trainer.datamodule.updates_of(trainer.max_epochs):  # type: ignore[attr-defined]
        limit = f"{updates} updates are trainer.max_epochs={trainer.max_epochs} passes over the training tasks"
    else:
        limit = f"{updates} updates are the most that it may take"
    return StageEnd(
        last_update=trainer.global_step,
        reason=(transition and transition.reason) or limit,
        collapsed=bool(transition and transition.collapsed),
        last=last,
        best=best.path if best else None,
        best_value=best.value if best else None,
        before=history.before,
        after=history.after,
        curve=tuple(history.curve),
        best_metric=best.monitor if best else None,
    )
