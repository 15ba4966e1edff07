"""What is left of a stage, after a fit of the toy world."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from toy_training import toy_datamodule, toy_module, toy_trainer

from envtune.training.curriculum.best_checkpoint import BestCheckpoint
from envtune.training.curriculum.stage_end import StageEnd, stage_end
from envtune.training.curriculum.stage_transition import StageTransition
from envtune.training.curriculum.transition import CollapseGuard, TransitionRule
from envtune.training.reporting.validation_history import ValidationHistory

METRIC = "val/progress/overall"
LAST = Path("last.ckpt")


def history_of(after: dict[str, float]) -> ValidationHistory:
    history = ValidationHistory()
    history.after = after
    return history


def ended(tokenizer: Any, folder: Path, after: dict[str, float], **arguments: Any) -> StageEnd:
    best = BestCheckpoint(str(folder), METRIC)
    options = {"val_check_interval": 1, "limit_val_batches": 1.0, "enable_checkpointing": True, "max_steps": 2}
    trainer = toy_trainer(folder, [best], **(options | arguments))
    trainer.fit(toy_module(), toy_datamodule(tokenizer))
    best.value = 0.25
    return stage_end(trainer, 0, LAST, history_of(after))


def test_the_best_is_that_of_the_callback_that_keeps_it(tokenizer: Any, tmp_path: Path) -> None:
    end = ended(tokenizer, tmp_path, {METRIC: 0.125})
    assert (end.best, end.best_value, end.best_metric) == (tmp_path / "best.ckpt", 0.25, METRIC)
    assert (end.last, end.last_update, end.collapsed) == (LAST, 2, False)


@pytest.mark.parametrize(
    ("limits", "reason"),
    [
        ({"max_steps": 2}, "2 updates are the most that it may take"),
        ({"max_steps": -1, "max_epochs": 1}, "2 updates are trainer.max_epochs=1 passes over the training tasks"),
        ({"max_steps": 1, "max_epochs": 1}, "1 updates are the most that it may take"),
    ],
)
def test_the_reason_is_the_limit_that_was_reached(
    tokenizer: Any, tmp_path: Path, limits: dict[str, int], reason: str
) -> None:
    assert ended(tokenizer, tmp_path, {}, **limits).reason == reason


def test_the_rule_that_ended_the_stage_is_its_reason_and_a_collapse_is_recorded(tokenizer: Any, tmp_path: Path) -> None:
    rule, guard = TransitionRule(min_updates=0, max_updates=1), CollapseGuard()
    transition = StageTransition(rule, guard, METRIC, "stop", str(tmp_path / "best.ckpt"))
    trainer = toy_trainer(tmp_path, [transition], val_check_interval=1, limit_val_batches=1.0, max_steps=5)
    trainer.fit(toy_module(), toy_datamodule(tokenizer))
    end = stage_end(trainer, 0, LAST, history_of({}))
    assert (end.last_update, end.reason) == (1, "1 updates are the most that this stage may take")
    assert (end.best, end.collapsed) == (None, False)
    transition.collapsed = True
    assert stage_end(trainer, 0, LAST, history_of({})).collapsed
