"""The loss of cloning, against numbers on paper and transformers' own loss."""

from __future__ import annotations

from dataclasses import replace
from math import log
from pathlib import Path
from typing import Any

import pytest
import torch
from hand_made_batches import BATCH, LONG, SHORT, batch_of, tiny_config
from lightning import Callback
from toy_training import SGD, toy_datamodule, toy_trainer
from toy_world import ScriptedGenerator, ToyTasks, always, toy_collector, toy_model
from transformers import Qwen2ForCausalLM

from envtune.errors import UserError
from envtune.grpo.settings import GRPOSettings
from envtune.training.cloning.clone_datamodule import CloneDataModule
from envtune.training.cloning.clone_module import CloneModule
from envtune.training.model.policy import Policy, TokenStatistics
from envtune.training.reporting.phase_clock import PhaseClock

CLOCK = PhaseClock(torch.device("cpu"))


class Halves(torch.nn.Module):
    """A policy whose sampled tokens have the probabilities 1/2, 1/4, 1/8, … by their place in the batch's ids."""

    def __init__(self) -> None:
        super().__init__()
        self.powers = torch.nn.Parameter(torch.arange(1.0, 9.0))

    def forward(self, batch: Any) -> TokenStatistics:
        powers = self.powers[batch.ids[batch.sampled]]
        return TokenStatistics(-log(2) * powers, torch.zeros_like(powers))

    def micro_batches(self, batch: Any, max_tokens: int) -> Any:
        return batch.micro_batches(max_tokens)


def gradients_of(model: Any) -> torch.Tensor:
    return torch.cat([parameter.grad.flatten() for parameter in model.parameters()])


@pytest.mark.parametrize("room", [100, 1], ids=["together", "one row at a time"])
def test_the_loss_is_the_mean_over_all_tokens_of_responses(room: int):
    # Rows of prompt token 7: two responses of one token (probability 1/2) and of three (1/2, 1/4, 1/16).
    batch = batch_of([[7, 0], [7, 0, 1, 3]], [{1}, {1, 2, 3}])
    module = CloneModule(Halves(), GRPOSettings(max_tokens_per_batch=room))
    losses = list(module._losses(batch, CLOCK))
    assert len(losses) == (1 if room == 100 else 2)
    total = sum(losses)
    assert total.item() == pytest.approx(log(2) * (1 + 1 + 2 + 4) / 4)
    total.backward()
    # Half of the tokens are id 0; ids that are no target of a response, such as the prompt's, have no gradient.
    assert module.policy.powers.grad.tolist() == pytest.approx([log(2) * n / 4 for n in (2, 1, 0, 1, 0, 0, 0, 0)])
    logged = module._train_aggregates.pop()
    assert logged["clone/loss"] == pytest.approx(log(2) * 2)
    assert logged["clone/accuracy"] == 0.0


def test_a_token_with_more_than_half_of_the_probability_is_right():
    module = CloneModule(Halves())
    module.policy.powers.data = torch.tensor([0.5, 2.0] + [1.0] * 6)
    list(module._losses(batch_of([[7, 0, 1, 0]], [{1, 2, 3}]), CLOCK))
    assert module._train_aggregates.pop()["clone/accuracy"] == pytest.approx(2 / 3)


def test_loss_and_gradient_are_those_of_transformers_with_all_but_responses_masked():
    torch.manual_seed(0)
    model = Qwen2ForCausalLM(tiny_config())
    ids = torch.tensor([LONG, SHORT + [0] * (len(LONG) - len(SHORT))])
    labels = torch.full_like(ids, -100)
    for row, positions in enumerate([[4, 5, 6, 9], [2, 3]]):
        labels[row, positions] = ids[row, positions]
    expected = model(input_ids=ids, labels=labels).loss
    expected.backward()
    by_transformers = gradients_of(model)
    model.zero_grad()
    module = CloneModule(Policy(model), GRPOSettings(max_tokens_per_batch=1))
    total = sum(module._losses(replace(BATCH, temperature=1.0), CLOCK))
    total.backward()
    torch.testing.assert_close(total, expected)
    torch.testing.assert_close(gradients_of(model), by_transformers, rtol=1e-4, atol=1e-6)


class Curve(Callback):
    def __init__(self) -> None:
        self.losses: list[float] = []

    def on_train_batch_end(self, trainer: Any, *_: Any) -> None:
        self.losses.append(float(trainer.callback_metrics["clone/loss"]))
        self.metrics = dict(trainer.callback_metrics)


def test_the_loss_falls_and_the_validation_is_played_by_the_model(tokenizer: Any, tmp_path: Path):
    generator = ScriptedGenerator(tokenizer, always(("<think>No.</think><answer>No.</answer>",) * 2))
    settings = GRPOSettings(tasks_per_update=2)
    datamodule = CloneDataModule(ToyTasks(), toy_collector(tokenizer, generator), grpo=settings)
    curve = Curve()
    module = CloneModule(Policy(toy_model()), settings, SGD)
    trainer = toy_trainer(tmp_path, [curve], max_steps=8, val_check_interval=4, limit_val_batches=1.0)
    trainer.fit(module, datamodule)
    assert curve.losses[-1] < curve.losses[0] - 1
    assert generator.policy_version == 8
    # Two validations of one round of two turns: the generator plays nothing else.
    assert len(generator.calls) == 4
    assert trainer.callback_metrics["val/success/overall"] == 0.0
    assert curve.metrics["clone/left_out"] == 0.0
    assert not {"reward/mean", "kl", "loss/policy", "sampling/ess"} & set(curve.metrics)


def test_rollouts_are_not_cloned(tokenizer: Any, tmp_path: Path):
    with pytest.raises(UserError, match=r"give the Trainer datamodule=CloneDataModule"):
        toy_trainer(tmp_path).fit(CloneModule(Policy(toy_model())), toy_datamodule(tokenizer))
