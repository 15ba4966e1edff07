"""Which validation the best checkpoint is of, with made-up results of validation."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from toy_training import toy_datamodule, toy_module, toy_trainer

from envtune.errors import UserError
from envtune.training.curriculum.best_checkpoint import BestCheckpoint
from envtune.training.reporting.update_axis import continue_update_count
from envtune.training.run_folder.checkpoint_io import AtomicCheckpointIO, update_of


class Measured(BestCheckpoint):
    """Whose validations have the ``results``, one after the other."""

    def __init__(self, folder: Path, results: list[float], **options: Any) -> None:
        super().__init__(str(folder), **options)
        self._results = iter(results)

    def _measure(self, trainer: Any) -> float:
        return next(self._results)


def train(tokenizer: Any, best: BestCheckpoint, updates: int, interval: int = 1, before: int = 0) -> None:
    """As train.py does it: a validation before, after every ``interval`` updates, and after the last one."""
    options: dict[str, Any] = {"limit_val_batches": 1.0, "enable_checkpointing": True, "val_check_interval": interval}
    trainer = toy_trainer(best.path.parent, [best], max_steps=updates, plugins=[AtomicCheckpointIO()], **options)
    module, datamodule = toy_module(), toy_datamodule(tokenizer)
    continue_update_count(trainer, module, before)
    trainer.validate(module, datamodule, verbose=False)
    trainer.fit(module, datamodule)
    if updates % interval:
        trainer.validate(module, datamodule, verbose=False)


@pytest.mark.parametrize(
    ("results", "update"),
    [
        ([0.5, 0.25, 0.125], 0),  # it only gets worse: the start
        ([0.5, 0.5, 0.25], 1),  # the start loses to its equal, …
        ([0.0, 0.5, 0.5], 1),  # … and of two others the first counts
        ([0.0, 0.25, 0.5], 2),
    ],
)
def test_the_best_of_all_validations_is_kept_that_of_the_start_included(
    tokenizer: Any, tmp_path: Path, results: list[float], update: int
):
    best = Measured(tmp_path, results)
    train(tokenizer, best, updates=2)
    assert update_of(tmp_path / "best.ckpt") == update
    assert (best.update, best.value) == (update, max(results))


def test_a_run_shorter_than_the_interval_of_validation_keeps_its_end(tokenizer: Any, tmp_path: Path):
    train(tokenizer, Measured(tmp_path, [0.25, 0.5]), updates=1, interval=100)
    assert update_of(tmp_path / "best.ckpt") == 1
    assert update_of(tmp_path / "best.previous.ckpt") == 0


def test_the_start_of_a_later_stage_is_kept_with_its_weights(tokenizer: Any, tmp_path: Path):
    train(tokenizer, Measured(tmp_path, [0.5, 0.25]), updates=1, before=7)
    saved = torch.load(tmp_path / "best.ckpt", weights_only=True)
    assert saved["global_step"] == 7
    for name, weight in toy_module().state_dict().items():
        assert saved["state_dict"][name].equal(weight)


def test_the_smallest_is_best_where_that_was_chosen(tokenizer: Any, tmp_path: Path):
    train(tokenizer, Measured(tmp_path, [0.5, 0.25, 0.75], mode="min"), updates=2)
    assert update_of(tmp_path / "best.ckpt") == 1


def test_a_resumed_run_remembers_the_best_and_one_without_the_file_does_not(tokenizer: Any, tmp_path: Path):
    best = Measured(tmp_path, [0.5, 0.25])
    train(tokenizer, best, updates=1)
    resumed, elsewhere = BestCheckpoint(str(tmp_path)), BestCheckpoint(str(tmp_path / "new"))
    for callback in (resumed, elsewhere):
        callback.load_state_dict(best.state_dict())
    assert (resumed.value, resumed.update) == (0.5, 0)
    assert (elsewhere.value, elsewhere.update) == (None, -1)


def test_what_validation_does_not_measure_and_other_modes_are_refused(tokenizer: Any, tmp_path: Path):
    # The toy world's validation tasks are all of the category base.
    with pytest.raises(
        UserError, match=r"callbacks.best.monitor=val/success/miss_func is not a result of validation; "
    ):
        train(tokenizer, BestCheckpoint(str(tmp_path), "val/success/miss_func"), updates=1)
    with pytest.raises(UserError, match=r"monitor='val/sucess' must be text such as val/success/overall or"):
        BestCheckpoint(str(tmp_path), "val/sucess")
    with pytest.raises(UserError, match=r"mode='greatest' must be one of max, min"):
        BestCheckpoint(str(tmp_path), mode="greatest")  # type: ignore[arg-type]
