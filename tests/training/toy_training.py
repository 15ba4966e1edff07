"""The toy world's training run: a random model that samples for itself, under Lightning's real Trainer."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import lightning
import torch
from lightning import Callback
from toy_world import SeedReward, ToyTasks, toy_collector, toy_model

from envtune.grpo.settings import GRPOSettings
from envtune.reward.breakdown import Reward
from envtune.rollout.hf.hf_generator import HFGenerator
from envtune.training.datamodule import EnvironmentDataModule
from envtune.training.model.policy import Policy
from envtune.training.module import GRPOModule

SGD = partial(torch.optim.SGD, lr=1.0)


def toy_datamodule(tokenizer: Any, reward: Reward | None = None, **grpo: Any) -> EnvironmentDataModule:
    """Four training tasks, two in each update, and two validation tasks; episodes of at most two short steps."""
    collector = toy_collector(tokenizer, HFGenerator(), max_completion_tokens=8, step_limit=1)
    return EnvironmentDataModule(ToyTasks(), collector, reward or SeedReward(), settings_of(**grpo))


def toy_module(optimizer: Callable[..., Any] = SGD, **grpo: Any) -> GRPOModule:
    return GRPOModule(Policy(toy_model()), settings_of(**grpo), optimizer)


def settings_of(**grpo: Any) -> GRPOSettings:
    return GRPOSettings(**({"group_size": 2, "tasks_per_update": 2} | grpo))


class BrokenGradient(Callback):
    """Makes a gradient of the update after ``version`` no number."""

    def __init__(self, version: int) -> None:
        self._version = version

    def on_train_batch_start(self, trainer: lightning.Trainer, module: Any, *_: Any) -> None:
        if trainer.global_step == self._version:
            weights = next(module.policy.model.parameters())
            self._hook = weights.register_hook(lambda gradient: gradient * float("nan"))

    def on_train_batch_end(self, trainer: lightning.Trainer, *_: Any) -> None:
        if trainer.global_step == self._version + 1:
            self._hook.remove()


def toy_trainer(folder: Path, callbacks: Sequence[lightning.Callback] = (), **arguments: Any) -> lightning.Trainer:
    """A Trainer as `conf/trainer` sets it up, without loggers unless asked for."""
    warnings.filterwarnings("ignore", module="lightning")
    settings: dict[str, Any] = {
        "accelerator": "cpu",
        "max_steps": 1,
        "val_check_interval": 100,
        "check_val_every_n_epoch": None,
        "num_sanity_val_steps": 0,
        "log_every_n_steps": 1,
        "inference_mode": False,
        "enable_model_summary": False,
        "enable_checkpointing": False,
        "enable_progress_bar": False,
        "logger": False,
        "limit_val_batches": 0,
        "default_root_dir": folder,
    }
    return lightning.Trainer(**(settings | {"callbacks": [*callbacks]} | arguments))
