from __future__ import annotations

import csv
from dataclasses import replace
from itertools import count
from math import log
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from lightning import Callback
from lightning.pytorch.loggers import CSVLogger
from toy_training import SGD, BrokenGradient, settings_of, toy_datamodule, toy_module, toy_trainer
from toy_world import toy_model

from envtune.grpo.settings import GRPOSettings
from envtune.reward.breakdown import RewardBreakdown, RewardPart
from envtune.training.model.policy import Policy
from envtune.training.module import GRPOModule
from envtune.training.reporting.phase_clock import PhaseClock
from envtune.trajectory import Trajectory

MODULE = "envtune.training.module"


def weights_of(module: GRPOModule) -> torch.Tensor:
    return torch.cat([parameter.detach().flatten() for parameter in module.policy.model.parameters()])


def step_taken(tokenizer: Any, folder: Path, sampler_ratio: float = 1.0, **grpo: Any) -> torch.Tensor:
    """The change of all weights in one update; with SGD at rate 1, the negative gradient.

    The sampler reports log-probs that make every sampled token ``sampler_ratio`` times as likely to the trainer.
    """
    module, datamodule = toy_module(**grpo), toy_datamodule(tokenizer, **grpo)
    play = datamodule.collector.play

    def reported(trajectory: Trajectory) -> Trajectory:
        tokens = trajectory.tokens
        shifted = [
            p - sampled * log(sampler_ratio) for p, sampled in zip(tokens.logprobs, tokens.completion_mask, strict=True)
        ]
        return replace(trajectory, tokens=replace(tokens, logprobs=tuple(shifted)))

    datamodule.collector.play = lambda *args, **options: [reported(t) for t in play(*args, **options)]
    before = weights_of(module)
    toy_trainer(folder).fit(module, datamodule)
    return weights_of(module) - before


class Witness(Callback):
    """Compares, before every update, the weights that sampled a batch with those that it will update."""

    def __init__(self, datamodule: Any, module: GRPOModule) -> None:
        self.sampled_by: list[torch.Tensor] = []
        self.versions: list[set[int]] = []
        self.updates: list[int] = []
        self.same_weights: list[bool] = []
        play = datamodule.collector.play

        def watched(*arguments: Any, **options: Any) -> Any:
            self.sampled_by.append(weights_of(module))
            return play(*arguments, **options)

        datamodule.collector.play = watched

    def on_train_batch_start(self, trainer: Any, module: Any, batch: Any, batch_idx: int) -> None:
        self.updates.append(trainer.global_step)
        self.versions.append({t.policy_version for group in batch.groups for t in group.trajectories})
        self.same_weights.append(self.sampled_by[-1].equal(weights_of(module)))


def test_every_update_is_made_of_episodes_of_exactly_that_policy(tokenizer: Any, tmp_path: Path):
    # Two updates an epoch, so that the third also crosses the border between two epochs.
    module, datamodule = toy_module(), toy_datamodule(tokenizer)
    witness, logger = Witness(datamodule, module), CSVLogger(tmp_path)
    toy_trainer(tmp_path, [witness], max_steps=3, logger=logger).fit(module, datamodule)
    assert witness.updates == [0, 1, 2]
    assert witness.versions == [{0}, {1}, {2}]
    assert witness.same_weights == [True, True, True]
    assert len(witness.sampled_by) == 3
    assert not witness.sampled_by[0].equal(witness.sampled_by[1])
    with Path(logger.log_dir, "metrics.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["step"] for row in rows] == ["1", "2", "3"]
    assert max(float(row["sampling/logp_diff_max"]) for row in rows) < 1e-4
    assert min(float(row["sampling/ess/turn_0"]) for row in rows) > 1 - 1e-6
    # The first update starts at the reference; the later ones have left it.
    assert abs(float(rows[0]["kl"])) < 1e-6
    assert min(float(row["kl"]) for row in rows[1:]) > 1e-3


def test_rollouts_of_old_weights_are_refused(tokenizer: Any, tmp_path: Path):
    class Forgetful(GRPOModule):
        def on_train_batch_end(self, *_: Any) -> None:
            pass

    module = Forgetful(Policy(toy_model()), settings_of(), SGD)
    trainer = toy_trainer(tmp_path, max_steps=3)
    with pytest.raises(RuntimeError, match=r"policy version \[0\] reached update 1: .* must call the hook of"):
        trainer.fit(module, toy_datamodule(tokenizer))
    assert trainer.global_step == 1


@pytest.mark.parametrize("aggregation", ["seq-mean-token-mean", "token-mean"])
def test_micro_batches_give_the_gradient_of_the_whole_batch(tokenizer: Any, tmp_path: Path, aggregation: str):
    grpo = {"gradient_clip": 1e9, "aggregation": aggregation, "group_size": 3}
    whole = step_taken(tokenizer, tmp_path, **grpo)
    row_by_row = step_taken(tokenizer, tmp_path, max_tokens_per_batch=1, **grpo)
    assert whole.norm() > 1
    torch.testing.assert_close(row_by_row, whole, atol=1e-5, rtol=0)


@pytest.mark.parametrize(
    ("importance", "cap", "factor"),
    [("token", 4.0, 2.0), ("token", 1.5, 1.5), ("sequence", 1.5, 1.5), ("mask", 4.0, 2.0), ("mask", 1.5, 0.0)],
)
def test_a_token_twice_as_likely_to_the_trainer_counts_as_its_importance_weight(
    tokenizer: Any, tmp_path: Path, importance: str, cap: float, factor: float
):
    free = {"beta": 0.0, "entropy_coef": 0.0, "gradient_clip": 1e9}
    agreed = step_taken(tokenizer, tmp_path, **free)
    settings = free | {"importance": importance, "importance_cap": cap, "max_tokens_per_batch": 1}
    corrected = step_taken(tokenizer, tmp_path, sampler_ratio=2.0, **settings)
    assert agreed.norm() > 1
    torch.testing.assert_close(corrected, factor * agreed, atol=1e-4, rtol=0)


def test_the_gradient_is_clipped_to_its_norm_and_logged_before(tokenizer: Any, tmp_path: Path):
    free = step_taken(tokenizer, tmp_path, gradient_clip=1e9)
    module = toy_module(gradient_clip=1.0)
    before = weights_of(module)
    trainer = toy_trainer(tmp_path)
    trainer.fit(module, toy_datamodule(tokenizer))
    clipped = weights_of(module) - before
    torch.testing.assert_close(clipped, free / free.norm(), atol=1e-5, rtol=0)
    assert float(trainer.callback_metrics["grad_norm"]) == pytest.approx(float(free.norm()), rel=1e-4)
    # A norm below the bound is left alone.
    torch.testing.assert_close(step_taken(tokenizer, tmp_path, gradient_clip=2 * float(free.norm())), free)


def test_equal_rewards_without_kl_and_entropy_change_nothing(tokenizer: Any, tmp_path: Path):
    module = toy_module(beta=0.0, entropy_coef=0.0)
    before = weights_of(module)
    toy_trainer(tmp_path).fit(module, toy_datamodule(tokenizer, reward=Constant(0.5)))
    assert weights_of(module).equal(before)


def ticking(start: float = 0.0, tick: float = 1.0) -> Any:
    """A clock, as a module `time`, that moves on by ``tick`` seconds each time it is read."""
    readings = count(start, tick)
    return SimpleNamespace(perf_counter=lambda: next(readings))


def test_an_update_logs_the_seconds_of_its_phases(tokenizer: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(f"{MODULE}.PhaseClock", lambda device: PhaseClock(device, ticking().perf_counter))
    monkeypatch.setattr(f"{MODULE}.time", ticking(tick=60.0))
    monkeypatch.setattr("envtune.training.datamodule.time", ticking(tick=8.0))
    monkeypatch.setattr("envtune.training.weight_sync.time", ticking(tick=2.0))
    trainer = toy_trainer(tmp_path, max_steps=2)
    trainer.fit(toy_module(max_tokens_per_batch=1), toy_datamodule(tokenizer))
    values = {name: float(value) for name, value in trainer.callback_metrics.items()}
    # Each of the four micro-batches reads the clock at both ends of three phases, and the update at its own two.
    assert [values[f"time/{phase}"] for phase in ("reference", "logprob", "backward", "update")] == [4, 8, 4, 25]
    assert (values["time/rollout"], values["time/sync"], values["perf/step_time"]) == (8, 2, 36)
    # The update before ended 60 seconds earlier; nobody was waited for, but the clock was read.
    assert (values["time/wait"], values["time/other"]) == (1, 24)


class Constant:
    def __init__(self, value: float) -> None:
        self._value = value

    def __call__(self, trajectory: Trajectory) -> RewardBreakdown:
        return RewardBreakdown((RewardPart("constant", self._value),))


def test_a_gradient_that_is_not_finite_stops_training_before_the_weights_are_touched(tokenizer: Any, tmp_path: Path):
    module = toy_module()
    before = weights_of(module)
    with pytest.raises(RuntimeError, match=r"the gradient of update 0 is not finite \(nan\): continue from"):
        toy_trainer(tmp_path, [BrokenGradient(0)]).fit(module, toy_datamodule(tokenizer))
    assert weights_of(module).equal(before)


def test_only_the_policys_trainable_parameters_are_optimised():
    model = toy_model()
    model.get_input_embeddings().requires_grad_(False)
    policy = Policy(model)
    optimizer = GRPOModule(policy, GRPOSettings(), SGD).configure_optimizers()
    optimised = {id(parameter) for group in optimizer.param_groups for parameter in group["params"]}
    assert optimised == {id(parameter) for parameter in model.parameters() if parameter.requires_grad}
    assert optimised.isdisjoint(id(parameter) for parameter in policy.reference.parameters())
    assert len(optimised) == len(list(model.parameters())) - 1


def test_a_checkpoint_holds_the_trained_weights_and_nothing_else(tokenizer: Any, tmp_path: Path):
    module = toy_module()
    toy_trainer(tmp_path).fit(module, toy_datamodule(tokenizer))
    assert set(module.state_dict()) == {f"policy.model.{name}" for name in module.policy.model.state_dict()}


def test_gradients_are_gone_when_the_next_rollout_is_sampled(tokenizer: Any, tmp_path: Path):
    module = toy_module()
    toy_trainer(tmp_path).fit(module, toy_datamodule(tokenizer))
    assert {parameter.grad for parameter in module.policy.parameters()} == {None}


def test_layers_that_checkpoint_gradients_are_in_training_mode_and_the_reference_is_not(tokenizer: Any, tmp_path: Path):
    # In evaluation mode, in which transformers loads models, gradient checkpointing would do nothing.
    module = toy_module()
    layer = module.policy.model.get_decoder().layers[0]
    module.policy.model.gradient_checkpointing_enable()
    module.policy.model.eval()
    modes = []

    class Modes(Callback):
        def on_before_optimizer_step(self, *_: Any) -> None:
            modes.append((layer.training, module.policy.reference.training))

    toy_trainer(tmp_path, [Modes()], max_steps=2).fit(module, toy_datamodule(tokenizer))
    assert modes == [(True, False)] * 2


def test_validation_reports_the_policy_as_it_is_at_the_number_of_its_updates(tokenizer: Any, tmp_path: Path):
    module, datamodule, logger = toy_module(), toy_datamodule(tokenizer), CSVLogger(tmp_path)
    seen: list[int] = []

    class Versions(Callback):
        def on_validation_batch_end(self, trainer: Any, module: Any, outputs: Any, batch: Any, *_: Any) -> None:
            seen.extend(trajectory.policy_version for trajectory in batch.trajectories)

    trainer = toy_trainer(
        tmp_path, [Versions()], max_steps=2, val_check_interval=1, limit_val_batches=1.0, logger=logger
    )
    trainer.validate(module, datamodule, verbose=False)
    trainer.fit(module, datamodule)
    trainer.validate(module, datamodule, verbose=False)
    # Two tasks in each validation.
    assert seen == [0, 0, 1, 1, 2, 2, 2, 2]
    with Path(logger.log_dir, "metrics.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["step"] for row in rows if row["val/progress/overall"]] == ["0", "1", "2", "2"]
    assert [row["step"] for row in rows if row["grad_norm"]] == ["1", "2"]
    assert {row["val/success/base"] for row in rows if row["val/progress/overall"]} == {"0.0"}
