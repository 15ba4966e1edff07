"""The callback under Lightning's real Trainer, in the toy world."""

from __future__ import annotations

from copy import deepcopy
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from lightning import Callback, Trainer
from torch import Tensor
from toy_training import SGD, BrokenGradient, toy_datamodule, toy_module, toy_trainer

from envtune.errors import UserError
from envtune.rollout.hf.hf_generator import HFGenerator
from envtune.training.curriculum.best_checkpoint import BestCheckpoint
from envtune.training.curriculum.stage_transition import StageTransition
from envtune.training.curriculum.transition import CollapseGuard, TransitionRule
from envtune.training.reporting.update_axis import continue_update_count
from envtune.training.run_folder.csv_log import CSVLog, read_rows


def transition(folder: Path, on_collapse: str = "stop", max_kl: float = 1e9, **rule: Any) -> StageTransition:
    best = str(folder / "best.ckpt")
    return StageTransition(
        TransitionRule(**rule), CollapseGuard(max_kl=max_kl), "val/progress/overall", on_collapse, best
    )


def fit(tokenizer: Any, folder: Path, *callbacks: Any, optimizer: Any = SGD, **arguments: Any) -> Any:
    trainer = toy_trainer(folder, callbacks, val_check_interval=1, limit_val_batches=1.0, **arguments)
    trainer.fit(module := toy_module(optimizer), toy_datamodule(tokenizer))
    return trainer, module


class WeightsByUpdate(Callback):
    """The policy's weights after each update, as the callbacks before this one left them."""

    def __init__(self) -> None:
        self.kept: dict[int, Tensor] = {}

    def on_train_batch_end(self, trainer: Trainer, module: Any, *_: Any) -> None:
        weights = [parameter.detach().flatten() for parameter in module.policy.model.parameters()]
        self.kept[trainer.global_step] = torch.cat(weights)


def test_a_stage_ends_at_the_validation_after_max_updates_with_a_reason(tokenizer: Any, tmp_path: Path) -> None:
    ended = transition(tmp_path, min_updates=0, max_updates=2)
    trainer, _ = fit(tokenizer, tmp_path, ended, max_steps=5)
    assert trainer.global_step == 2
    assert (ended.reason, ended.collapsed) == ("2 updates are the most that this stage may take", False)


def test_updates_of_earlier_stages_do_not_count_for_the_rule(tokenizer: Any, tmp_path: Path) -> None:
    ended = transition(tmp_path, min_updates=0, max_updates=2)
    trainer = toy_trainer(tmp_path, [ended], val_check_interval=1, limit_val_batches=1.0, max_steps=5)
    continue_update_count(trainer, module := toy_module(), 7)
    trainer.fit(module, toy_datamodule(tokenizer))
    assert trainer.global_step == 9


def test_a_stage_that_was_over_trains_no_further_when_it_is_continued(tokenizer: Any, tmp_path: Path) -> None:
    over = transition(tmp_path)
    over.reason = "validation stands still"
    trainer, _ = fit(tokenizer, tmp_path, over, max_steps=3)
    assert trainer.global_step == 0


def test_a_stage_continues_without_a_reason_to_end(tokenizer: Any, tmp_path: Path) -> None:
    trainer, _ = fit(tokenizer, tmp_path, transition(tmp_path), max_steps=3)
    assert trainer.global_step == 3


def test_a_collapsed_run_stops(tokenizer: Any, tmp_path: Path) -> None:
    # KL to the reference is 0 in the first update and above 0 in the second.
    guarded = transition(tmp_path, max_kl=1e-12)
    trainer, _ = fit(tokenizer, tmp_path, guarded, max_steps=5)
    assert trainer.global_step == 2
    assert guarded.collapsed
    assert guarded.reason is not None
    assert guarded.reason.startswith("the run has collapsed: KL ")


def test_a_collapsed_run_goes_back_to_its_best_checkpoint_and_on(
    tokenizer: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given, take = [], HFGenerator.update_weights

    def watched(generator: HFGenerator, model: Any, version: int) -> None:
        given.append(deepcopy(model))
        take(generator, model, version)

    monkeypatch.setattr(HFGenerator, "update_weights", watched)
    best = BestCheckpoint(str(tmp_path))
    trainer, module = fit(
        tokenizer,
        tmp_path,
        best,
        transition(tmp_path, "restore", max_kl=1e-12),
        max_steps=2,
        enable_checkpointing=True,
    )
    assert trainer.global_step == 2
    saved = torch.load(tmp_path / "best.ckpt", weights_only=True)["state_dict"]
    for name, weight in module.policy.model.state_dict().items():
        torch.testing.assert_close(weight, saved[f"policy.model.{name}"], atol=0, rtol=0)
        torch.testing.assert_close(given[-1].state_dict()[name], weight, atol=0, rtol=0)


def test_a_non_finite_gradient_restores_the_best_checkpoint(tokenizer: Any, tmp_path: Path) -> None:
    best = BestCheckpoint(str(tmp_path))
    guarded, weights = transition(tmp_path, "restore"), WeightsByUpdate()
    callbacks, logger = (BrokenGradient(1), best, guarded, weights), CSVLog(str(tmp_path))
    trainer, _ = fit(tokenizer, tmp_path, *callbacks, max_steps=3, enable_checkpointing=True, logger=logger)
    assert (trainer.global_step, guarded.reason) == (3, None)
    assert weights.kept[2].equal(weights.kept[1])
    assert not weights.kept[3].equal(weights.kept[2])
    # What was measured before is no measure of the restored weights.
    assert len(guarded.state_dict()["gradient_norms"]) == 1
    rows = [row for row in read_rows(tmp_path / "metrics.csv") if row["reward/mean"]]
    assert [(row["step"], row["grad_norm"] != "") for row in rows] == [("1", True), ("2", False), ("3", True)]


@pytest.mark.parametrize("optimizer", [SGD, partial(torch.optim.AdamW, lr=0.1)])
def test_a_non_finite_gradient_stops_the_run_and_changes_no_weights(
    tokenizer: Any, tmp_path: Path, caplog: pytest.LogCaptureFixture, optimizer: Any
) -> None:
    guarded, weights = transition(tmp_path, "restore"), WeightsByUpdate()
    with caplog.at_level("INFO"):
        trainer, _ = fit(tokenizer, tmp_path, BrokenGradient(0), guarded, weights, optimizer=optimizer, max_steps=3)
    assert (trainer.global_step, guarded.collapsed) == (1, True)
    assert guarded.reason == "the run has collapsed: the gradient norm is nan"
    assert f"{guarded.reason}; the best validation has not been saved: there was none yet" in caplog.text
    untrained = [parameter.flatten() for parameter in toy_module().policy.model.parameters()]
    assert weights.kept[1].equal(torch.cat(untrained))
    assert "grad_norm" not in trainer.callback_metrics


def test_the_history_of_signals_is_saved_in_the_checkpoint(tmp_path: Path) -> None:
    before, after = transition(tmp_path), transition(tmp_path)
    before._validations, before._gradient_norms = [0.1, 0.2], [3.0]
    before.reason, before.collapsed = "it is over", True
    after.load_state_dict(before.state_dict())
    seen = {"validations": [0.1, 0.2], "gradient_norms": [3.0]}
    assert after.state_dict() == seen | {"reason": "it is over", "collapsed": True}


def test_an_unknown_on_collapse_is_a_user_error(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="on_collapse='hope' must be one of stop, restore"):
        transition(tmp_path, "hope")
