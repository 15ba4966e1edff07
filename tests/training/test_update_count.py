"""A stage's count under Lightning's real Trainer, in the toy world."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from lightning.pytorch.loggers import CSVLogger
from toy_training import toy_datamodule, toy_module, toy_trainer
from toy_world import ToyTasks

from envtune.training.reporting.update_axis import continue_update_count, last_update, limit_updates, logging_disabled
from envtune.training.run_folder.csv_log import read_rows


def test_a_stage_counts_on_after_the_updates_of_earlier_ones_and_makes_as_many_as_alone(
    tokenizer: Any, tmp_path: Path
) -> None:
    logger = CSVLogger(tmp_path, name="csv", version="")
    trainer, module = toy_trainer(tmp_path, max_steps=3, logger=logger), toy_module()
    continue_update_count(trainer, module, 40)
    trainer.fit(module, toy_datamodule(tokenizer))
    assert trainer.global_step == 43
    assert [row["step"] for row in read_rows(tmp_path / "csv" / "metrics.csv")] == ["41", "42", "43"]


@pytest.mark.parametrize(
    ("limits", "last"),
    [
        ({"max_steps": 3, "max_epochs": -1}, 43),
        # Four tasks, two in each update: two updates a pass.
        ({"max_steps": -1, "max_epochs": 1}, 42),
        ({"max_steps": 3, "max_epochs": 1}, 42),
    ],
)
def test_the_last_update_is_that_of_the_nearest_limit(
    tokenizer: Any, tmp_path: Path, limits: dict[str, int], last: int
) -> None:
    trainer, module = toy_trainer(tmp_path, **limits), toy_module()
    continue_update_count(trainer, module, 40)
    trainer.fit(module, toy_datamodule(tokenizer))
    assert last_update(trainer, module) == last == trainer.global_step


@pytest.mark.parametrize(
    ("limits", "last"),
    [
        # Three tasks, two in each update: three passes are nine groups, which five updates train on. Three of
        # Lightning's epochs have two updates each.
        ({"max_steps": -1, "max_epochs": 3}, 45),
        ({"max_steps": 2, "max_epochs": 3}, 42),
        ({"max_steps": 6, "max_epochs": -1}, 46),
    ],
)
def test_a_run_ends_after_its_passes_over_the_tasks_and_not_after_whole_epochs(
    tokenizer: Any, tmp_path: Path, limits: dict[str, int], last: int
) -> None:
    trainer, module, datamodule = toy_trainer(tmp_path, **limits), toy_module(), toy_datamodule(tokenizer)
    datamodule.source = ToyTasks(train=3)
    assert len(datamodule.train_dataloader()) == 2
    limit_updates(trainer, datamodule.updates_of(trainer.max_epochs))
    continue_update_count(trainer, module, 40)
    trainer.fit(module, datamodule)
    assert last_update(trainer, module) == last == trainer.global_step


def test_with_logging_disabled_no_curve_gets_a_point(tokenizer: Any, tmp_path: Path) -> None:
    logger = CSVLogger(tmp_path, name="csv", version="")
    trainer, module = toy_trainer(tmp_path, limit_val_batches=1.0, logger=logger), toy_module()
    with logging_disabled(trainer, True):
        trainer.validate(module, toy_datamodule(tokenizer), verbose=False)
    assert "val/progress/overall" in trainer.callback_metrics
    assert trainer.loggers == [logger]
    assert not (tmp_path / "csv" / "metrics.csv").exists()
