"""`load_from_checkpoint` of the two Lightning classes."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from test_plain_trainer import plain_trainer
from toy_training import settings_of, toy_datamodule
from toy_world import toy_model

from envtune.errors import UserError
from envtune.training.datamodule import EnvironmentDataModule
from envtune.training.model.lora import LoRA, add_adapter
from envtune.training.model.policy import Policy
from envtune.training.module import GRPOModule
from envtune.training.rate_schedule import RateSchedule

ADAMW = partial(torch.optim.AdamW, lr=1e-3, betas=(0.8, 0.9))
SCHEDULE = RateSchedule("cosine", warmup_updates=1)


def adapted_model() -> Any:
    model = toy_model()
    add_adapter(model, LoRA(2))
    return model


def trained(tokenizer: Any, folder: Path, model: Any, weights_only: bool = False, **arguments: Any) -> GRPOModule:
    module = GRPOModule(Policy(model), settings_of(beta=0.25), **({"optimizer": ADAMW} | arguments))
    trainer = plain_trainer(folder, limit_val_batches=0)
    trainer.fit(module, toy_datamodule(tokenizer))
    trainer.save_checkpoint(folder / "end.ckpt", weights_only=weights_only)
    return module


@pytest.mark.parametrize("weights_only", [False, True], ids=["whole", "weights_only"])
@pytest.mark.parametrize("make", [toy_model, adapted_model])
def test_a_module_is_reloaded_with_its_weights_and_recorded_arguments(
    tokenizer: Any, tmp_path: Path, make: Any, weights_only: bool
):
    module = trained(tokenizer, tmp_path, make(), weights_only, scheduler=SCHEDULE)
    again = GRPOModule.load_from_checkpoint(tmp_path / "end.ckpt", policy=Policy(make()))
    assert again.grpo == settings_of(beta=0.25)
    assert again.hparams == module.hparams
    for own, other in zip(again.policy.model.parameters(), module.policy.model.parameters(), strict=True):
        assert own.equal(other)
    # They are also those that training goes on with.
    trainer = plain_trainer(tmp_path, max_steps=4, limit_val_batches=0)
    trainer.fit(again, toy_datamodule(tokenizer))
    (optimizer,) = trainer.optimizers
    assert isinstance(optimizer, torch.optim.AdamW)
    assert optimizer.param_groups[0]["betas"] == (0.8, 0.9)
    assert optimizer.param_groups[0]["initial_lr"] == 1e-3
    assert trainer.lr_scheduler_configs[0].scheduler.last_epoch == 4


def test_the_reference_is_that_of_the_given_policy(tokenizer: Any, tmp_path: Path):
    trained(tokenizer, tmp_path, toy_model())
    again = GRPOModule.load_from_checkpoint(tmp_path / "end.ckpt", policy=Policy(toy_model()))
    own, start = again.policy.reference.parameters(), toy_model().parameters()
    assert all(mine.equal(its) for mine, its in zip(own, start, strict=True))


def test_arguments_that_are_given_replace_the_recorded_ones(tokenizer: Any, tmp_path: Path):
    trained(tokenizer, tmp_path, toy_model(), scheduler=SCHEDULE)
    given = {
        "grpo": settings_of(beta=0.5),
        "optimizer": partial(torch.optim.SGD, lr=0.5),
        "scheduler": None,
        "distill": None,
    }
    again = GRPOModule.load_from_checkpoint(tmp_path / "end.ckpt", policy=Policy(toy_model()), **given)
    assert again.grpo.beta == 0.5
    optimizer = again.configure_optimizers()
    assert isinstance(optimizer, torch.optim.SGD)


def test_a_checkpoint_holds_plain_values_alone(tokenizer: Any, tmp_path: Path):
    trained(tokenizer, tmp_path, toy_model(), scheduler=SCHEDULE)
    record = torch.load(tmp_path / "end.ckpt", weights_only=True)["hyper_parameters"]
    assert record["optimizer"] == {"name": "AdamW", "lr": 1e-3, "betas": (0.8, 0.9)}
    assert record["scheduler"] == {"shape": "cosine", "warmup_updates": 1, "total_updates": None}
    assert record["grpo"]["beta"] == 0.25


def test_an_optimizer_of_ones_own_has_to_be_given_again(tokenizer: Any, tmp_path: Path):
    class Own(torch.optim.SGD):
        pass

    own = partial(Own, lr=0.1)
    trained(tokenizer, tmp_path, toy_model(), optimizer=own)
    with pytest.raises(UserError, match=r"does not record optimizer, .*: give load_from_checkpoint optimizer=…"):
        GRPOModule.load_from_checkpoint(tmp_path / "end.ckpt", policy=Policy(toy_model()))
    again = GRPOModule.load_from_checkpoint(tmp_path / "end.ckpt", policy=Policy(toy_model()), optimizer=own)
    assert isinstance(again.configure_optimizers(), Own)


def test_a_checkpoint_of_an_earlier_version_needs_all_arguments(tokenizer: Any, tmp_path: Path):
    module = trained(tokenizer, tmp_path, toy_model())
    path = tmp_path / "end.ckpt"
    checkpoint = torch.load(path, weights_only=True)
    del checkpoint["hyper_parameters"], checkpoint["hparams_name"]
    torch.save(checkpoint, path)
    with pytest.raises(UserError, match=r"does not record grpo and optimizer and scheduler and distill"):
        GRPOModule.load_from_checkpoint(path, policy=Policy(toy_model()))
    given = {"grpo": settings_of(), "optimizer": ADAMW, "scheduler": None, "distill": None}
    again = GRPOModule.load_from_checkpoint(path, policy=Policy(toy_model()), **given)
    assert next(again.policy.parameters()).equal(next(module.policy.parameters()))


def test_without_a_policy_or_a_file_a_sentence_says_what_to_give(tokenizer: Any, tmp_path: Path):
    trained(tokenizer, tmp_path, toy_model())
    with pytest.raises(UserError, match=r"give load_from_checkpoint policy=Policy\(load_model\(path\)\)"):
        GRPOModule.load_from_checkpoint(tmp_path / "end.ckpt")
    with pytest.raises(UserError, match=r"checkpoint .*other\.ckpt cannot be read"):
        GRPOModule.load_from_checkpoint(tmp_path / "other.ckpt", policy=Policy(toy_model()))


def test_an_adapter_is_not_loaded_into_a_model_without_one(tokenizer: Any, tmp_path: Path):
    trained(tokenizer, tmp_path, adapted_model())
    with pytest.raises(UserError, match=r"holds only an adapter of r=2, but all weights are trained here"):
        GRPOModule.load_from_checkpoint(tmp_path / "end.ckpt", policy=Policy(toy_model()))


def test_a_name_outside_of_torchs_optimizers_is_not_called(tokenizer: Any, tmp_path: Path):
    trained(tokenizer, tmp_path, toy_model())
    path = tmp_path / "end.ckpt"
    checkpoint = torch.load(path, weights_only=True)
    checkpoint["hyper_parameters"]["optimizer"] = {"name": "lr_scheduler"}
    torch.save(checkpoint, path)
    with pytest.raises(UserError, match=r"torch\.optim has no optimizer lr_scheduler, which the checkpoint records"):
        GRPOModule.load_from_checkpoint(path, policy=Policy(toy_model()))


def test_a_subclass_is_reloaded_as_itself(tokenizer: Any, tmp_path: Path):
    class Own(GRPOModule):
        pass

    trained(tokenizer, tmp_path, toy_model())
    again = Own.load_from_checkpoint(tmp_path / "end.ckpt", policy=Policy(toy_model()))
    assert type(again) is Own


def test_a_datamodule_is_reloaded_where_its_tasks_were_drawn(tokenizer: Any, tmp_path: Path):
    trained(tokenizer, tmp_path, toy_model())
    fresh = toy_datamodule(tokenizer)
    parts = {"tasks": fresh.source, "collector": fresh.collector, "reward": fresh.reward, "grpo": fresh.grpo}
    again = EnvironmentDataModule.load_from_checkpoint(tmp_path / "end.ckpt", **parts)
    assert again.state_dict() == {"drawn": [4]}
