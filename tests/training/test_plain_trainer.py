"""The two Lightning classes under a Trainer without callbacks of envtune, with Lightning's defaults."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, get_args

import lightning
import pytest
import torch
from lightning.fabric.plugins.precision.precision import (
    _PRECISION_INPUT_INT,
    _PRECISION_INPUT_STR,
    _PRECISION_INPUT_STR_ALIAS,
)
from lightning.pytorch.callbacks import Callback, EarlyStopping, LearningRateFinder, ModelCheckpoint
from lightning.pytorch.loggers import CSVLogger
from lightning.pytorch.tuner import Tuner
from lightning.pytorch.utilities.exceptions import MisconfigurationException
from toy_training import settings_of, toy_datamodule, toy_module
from toy_world import ANSWER, IDLE, PERFECT, ScriptedGenerator, ToyTasks, toy_collector, toy_task

from envtune.bfcl.category import Category
from envtune.diagnosis import Diagnosis
from envtune.errors import UserError
from envtune.task import Split
from envtune.training.datamodule import EnvironmentDataModule
from envtune.training.run_folder.csv_log import read_rows
from envtune.training.trainer_check import require_precision

MEASURES = ("success", "progress", "reward", "format", "tool", "tried")
VALIDATED = {f"val/{kind}/{group}" for kind in MEASURES for group in ("base", "overall")}
VALIDATED |= {f"val/diagnosis/{label}" for label in Diagnosis}


@pytest.fixture(autouse=True)
def _quiet() -> Iterator[None]:
    warnings.filterwarnings("ignore", module="lightning")
    log = logging.getLogger("lightning.pytorch")
    level = log.level
    log.setLevel(logging.ERROR)
    yield
    log.setLevel(level)


def plain_trainer(folder: Path, **arguments: Any) -> lightning.Trainer:
    """Lightning's defaults, but without output: validation in inference mode, at the end of each epoch."""
    quiet = {"logger": False, "enable_progress_bar": False, "enable_model_summary": False}
    settings = {"accelerator": "cpu", "max_steps": 2, "enable_checkpointing": False, "default_root_dir": folder}
    return lightning.Trainer(**(quiet | settings | arguments))


def fitted(tokenizer: Any, folder: Path, **arguments: Any) -> lightning.Trainer:
    trainer = plain_trainer(folder, **arguments)
    trainer.fit(toy_module(), toy_datamodule(tokenizer))
    return trainer


def test_training_follows_a_validation_in_inference_mode(tokenizer: Any, tmp_path: Path):
    trainer, module, datamodule = plain_trainer(tmp_path), toy_module(), toy_datamodule(tokenizer)
    (before,) = trainer.validate(module, datamodule, verbose=False)
    trainer.fit(module, datamodule)
    (after,) = trainer.validate(module, datamodule, verbose=False)
    assert before.keys() == after.keys() == VALIDATED | {"step"}
    assert (before["step"], after["step"], trainer.global_step) == (0, 2, 2)
    assert datamodule.collector.generator.policy_version == 2
    assert not any(parameter.is_inference() for parameter in module.policy.parameters())


def test_the_first_validation_of_another_process_plays_the_weights_of_its_checkpoint(tokenizer: Any, tmp_path: Path):
    trainer, module = plain_trainer(tmp_path), toy_module()
    trainer.fit(module, toy_datamodule(tokenizer))
    trainer.save_checkpoint(tmp_path / "end.ckpt")
    datamodule, other = toy_datamodule(tokenizer), toy_module()
    seen: list[torch.Tensor] = []
    play = datamodule.collector.play

    def watched(*arguments: Any, **options: Any) -> Any:
        model: Any = datamodule.collector.generator._model
        seen.append(next(iter(model.parameters())).clone())
        return play(*arguments, **options)

    datamodule.collector.play = watched  # type: ignore[method-assign]
    plain_trainer(tmp_path).validate(other, datamodule, ckpt_path=tmp_path / "end.ckpt", verbose=False)
    assert seen[0].equal(next(iter(module.policy.model.parameters())))


class ThreeTestTasks(ToyTasks):
    """Three test tasks, of two groups."""

    def __init__(self) -> None:
        super().__init__()
        self._tasks[Split.TEST] = tuple(map(toy_task, (7, 8, 9), (Category.BASE, Category.BASE, Category.MISS_PARAM)))


def scripted_datamodule(tokenizer: Any) -> EnvironmentDataModule:
    """Task 7 is played perfectly; in all others the agent only answers, which passes none of their turns."""

    def script(users: Any, seed: int) -> str:
        lines = PERFECT if "Task 7" in users[0] else IDLE
        return lines[len(users) - 1] if len(users) <= len(lines) else ANSWER

    collector = toy_collector(tokenizer, ScriptedGenerator(tokenizer, script), max_episodes=2)
    return EnvironmentDataModule(ThreeTestTasks(), collector, grpo=settings_of())


def test_test_gives_success_and_progress_of_the_test_tasks_by_group(tokenizer: Any, tmp_path: Path):
    logger = CSVLogger(tmp_path, name="csv", version="")
    trainer = plain_trainer(tmp_path, logger=logger)
    (tested,) = trainer.test(toy_module(), scripted_datamodule(tokenizer), verbose=False)
    assert len(tested) == 3 * len(MEASURES) + len(Diagnosis) + 1
    assert {
        name: value for name, value in tested.items() if name.startswith(("test/success", "test/progress", "s"))
    } == {
        **{f"test/{kind}/overall": pytest.approx(1 / 3) for kind in ("success", "progress")},
        **{f"test/{kind}/base": pytest.approx(1 / 2) for kind in ("success", "progress")},
        **{f"test/{kind}/miss_param": 0.0 for kind in ("success", "progress")},
        "step": 0.0,
    }
    (row,) = read_rows(tmp_path / "csv" / "metrics.csv")
    assert row["step"] == "0"
    assert float(row["test/success/base"]) == 0.5


def test_predict_returns_the_trajectories_of_the_test_tasks(tokenizer: Any, tmp_path: Path):
    batches = plain_trainer(tmp_path).predict(toy_module(), scripted_datamodule(tokenizer))
    assert [[(t.task_id, t.success) for t in batch.trajectories] for batch in batches] == [
        [("toy_7", True), ("toy_8", False)],
        [("toy_9", False)],
    ]


@pytest.mark.parametrize(
    ("arguments", "updates"),
    [
        ({"fast_dev_run": True}, 1),
        ({"max_steps": -1, "max_epochs": 1}, 2),
        ({"max_steps": -1, "max_epochs": 3, "limit_train_batches": 1}, 3),
        ({"num_sanity_val_steps": -1}, 2),
        ({"detect_anomaly": True}, 2),
        ({"check_val_every_n_epoch": 2, "max_steps": 4}, 4),
        ({"reload_dataloaders_every_n_epochs": 1, "max_steps": 3}, 3),
        ({"max_steps": 20, "callbacks": [EarlyStopping("val/progress/overall", mode="max", patience=1)]}, 4),
    ],
    ids=lambda value: ",".join(value) if isinstance(value, dict) else None,
)
def test_an_option_of_the_trainer_does_what_lightning_promises(
    tokenizer: Any, tmp_path: Path, arguments: dict[str, Any], updates: int
):
    trainer = fitted(tokenizer, tmp_path, **arguments)
    assert trainer.global_step == updates
    assert trainer.callback_metrics.keys() >= VALIDATED


def test_a_barebones_trainer_trains_without_logs(tokenizer: Any):
    trainer = lightning.Trainer(barebones=True, accelerator="cpu", max_steps=2)
    trainer.fit(toy_module(), toy_datamodule(tokenizer))
    assert trainer.global_step == 2


def test_no_task_is_drawn_twice_when_epochs_are_cut_short(tokenizer: Any, tmp_path: Path):
    drawn: list[str] = []

    class Drawn(Callback):
        def on_train_batch_end(self, trainer: Any, module: Any, outputs: Any, batch: Any, *_: Any) -> None:
            drawn.extend(group.trajectories[0].task_id for group in batch.groups)

    fitted(tokenizer, tmp_path, callbacks=[Drawn()], limit_train_batches=1, max_steps=-1, max_epochs=2)
    assert sorted(drawn) == ["toy_0", "toy_1", "toy_2", "toy_3"]


def test_a_run_is_continued_from_lightnings_own_checkpoint(tokenizer: Any, tmp_path: Path):
    best = ModelCheckpoint(tmp_path, monitor="val/progress/overall", mode="max", save_last=True)
    fitted(tokenizer, tmp_path, enable_checkpointing=True, callbacks=[best])
    module, trainer = toy_module(), plain_trainer(tmp_path, max_steps=4)
    trainer.fit(module, toy_datamodule(tokenizer), ckpt_path=best.last_model_path)
    whole, at_once = toy_module(), plain_trainer(tmp_path, max_steps=4)
    at_once.fit(whole, toy_datamodule(tokenizer))
    assert trainer.global_step == at_once.global_step == 4
    for own, other in zip(module.policy.parameters(), whole.policy.parameters(), strict=True):
        assert own.equal(other)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"overfit_batches": 1}, r"overfit_batches=1 cannot repeat batches"),
        ({"precision": "bf16-true"}, r"trainer.precision=bf16-true is not supported: use 32-true or bf16-mixed"),
        ({"callbacks": [LearningRateFinder()]}, r"a search for the learning rate follows a loss"),
    ],
    ids=lambda value: ",".join(value) if isinstance(value, dict) else None,
)
def test_an_option_that_cannot_be_followed_is_refused_in_a_sentence(
    tokenizer: Any, tmp_path: Path, arguments: dict[str, Any], words: str
):
    datamodule = toy_datamodule(tokenizer)
    datamodule.collector.play = lambda *_: pytest.fail("played")  # type: ignore[method-assign]
    with pytest.raises(UserError, match=words):
        plain_trainer(tmp_path, **arguments).fit(toy_module(), datamodule)


def test_of_all_precisions_of_lightning_two_are_accepted():
    kinds = (*get_args(_PRECISION_INPUT_INT), *get_args(_PRECISION_INPUT_STR), *get_args(_PRECISION_INPUT_STR_ALIAS))
    accepted = set()
    for precision in kinds:
        with suppress(UserError):
            require_precision(precision)
            accepted.add(precision)
    assert accepted == {32, "32", "32-true", "bf16", "bf16-mixed"}
    assert {16, "16", "16-mixed", "16-true", "bf16-true", "64-true", "transformer-engine"} < set(kinds)


@pytest.mark.parametrize("arguments", [{"gradient_clip_val": 1.0}, {"accumulate_grad_batches": 2}])
def test_lightning_refuses_what_only_its_automatic_optimisation_can_do(
    tokenizer: Any, tmp_path: Path, arguments: dict[str, Any]
):
    with pytest.raises(MisconfigurationException, match=r"is not supported for manual optimization"):
        fitted(tokenizer, tmp_path, **arguments)


def test_the_tuner_is_refused_in_a_sentence(tokenizer: Any, tmp_path: Path):
    with pytest.raises(UserError, match=r"a search for the learning rate follows a loss"):
        Tuner(plain_trainer(tmp_path)).lr_find(toy_module(), datamodule=toy_datamodule(tokenizer))


def test_dataloaders_without_their_datamodule_are_refused_in_a_sentence(tokenizer: Any, tmp_path: Path):
    loader = toy_datamodule(tokenizer).train_dataloader()
    with pytest.raises(UserError, match=r"give the Trainer datamodule=EnvironmentDataModule\(…\) instead of"):
        plain_trainer(tmp_path).fit(toy_module(), train_dataloaders=loader)
    with pytest.raises(UserError, match=r"give the Trainer datamodule=EnvironmentDataModule\(…\) instead of"):
        plain_trainer(tmp_path).validate(toy_module(), toy_datamodule(tokenizer).val_dataloader())


def test_episodes_longer_than_the_window_of_the_model_are_refused(tokenizer: Any, tmp_path: Path):
    module = toy_module()
    module.policy.model.config.max_position_embeddings = 1000
    with pytest.raises(UserError, match=r"make 1536 tokens, but the model's window holds 1000"):
        plain_trainer(tmp_path).validate(module, toy_datamodule(tokenizer))


def test_validation_within_fit_is_logged_once(tokenizer: Any, tmp_path: Path):
    logger = CSVLogger(tmp_path, name="csv", version="")
    trainer, module, datamodule = plain_trainer(tmp_path, logger=logger), toy_module(), toy_datamodule(tokenizer)
    trainer.fit(module, datamodule)
    trainer.validate(module, datamodule, verbose=False)
    rows = [row for row in read_rows(tmp_path / "csv" / "metrics.csv") if row["val/progress/overall"]]
    assert [row["step"] for row in rows] == ["2", "2"]
