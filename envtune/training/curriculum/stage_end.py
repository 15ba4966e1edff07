"""How a stage ended: why, and which checkpoints it leaves."""

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
    """``last`` is the checkpoint of the stage's end, ``best`` that of its best validation, of ``best_value``; both None
    where no callback keeps the best. ``before`` and ``after`` are the validations at its start and end;
    ``curve`` has the update and the overall success of each.
    """

    last_update: int
    reason: str
    collapsed: bool
    last: Path
    best: Path | None
    best_value: float | None
    before: Mapping[str, float]
    after: Mapping[str, float]
    curve: Sequence[tuple[int, float]] = ()


def stage_end(trainer: Trainer, updates_before: int, last: Path, history: ValidationHistory) -> StageEnd:
    """What ``trainer`` leaves after its fit and the validation of its ``last`` checkpoint."""
    callbacks = trainer.callbacks  # type: ignore[attr-defined]
    transition = next((callback for callback in callbacks if isinstance(callback, StageTransition)), None)
    best = next((callback for callback in callbacks if isinstance(callback, BestCheckpoint)), None)
    return StageEnd(
        last_update=trainer.global_step,
        reason=(transition and transition.reason) or _limit_reached(trainer, trainer.global_step - updates_before),
        collapsed=bool(transition and transition.collapsed),
        last=last,
        best=best.path if best else None,
        best_value=best.value if best else None,
        before=history.before,
        after=history.after,
        curve=tuple(history.curve),
    )


def _limit_reached(trainer: Trainer, updates: int) -> str:
    if trainer.max_steps != -1 and trainer.global_step >= trainer.max_steps:
        return f"{updates} updates are the most that it may take"
    return f"every task was drawn trainer.max_epochs={trainer.max_epochs} times"
