"""envtune's side of `bench_loop.py --peer`: prints a report of its updates on the work given as JSON."""

from __future__ import annotations

import tempfile
import time
import warnings
from functools import partial
from typing import Any

import envtune.process_start

import lightning
import peer_work
import torch
from fixed_length import FixedLength
from peer_work import Report, Update, Work

from envtune.environment.augmentation.none import NoAugmentation
from envtune.grpo.settings import GRPOSettings
from envtune.program import run_program
from envtune.reward import ProgressReward, RewardBreakdown, RewardPart
from envtune.rollout.collector import Collector
from envtune.rollout.hf.hf_generator import HFGenerator
from envtune.task import Split, Task
from envtune.training.datamodule import EnvironmentDataModule
from envtune.training.model.policy import Policy
from envtune.training.model.weights import load_model
from envtune.training.module import GRPOModule
from envtune.training.rollout_batch import RolloutBatch
from envtune.training.weight_sync import WeightSync
from envtune.trajectory import Trajectory


def main() -> None:
    work = peer_work.work_of_command_line()
    peer_work.start(work)
    warnings.filterwarnings("ignore", module="lightning")
    lightning.seed_everything(work.seed, verbose=False)
    tasks = peer_work.first_turns(work)
    measured = _Measured()
    module = _module(work)
    with tempfile.TemporaryDirectory() as folder:
        trainer = lightning.Trainer(
            accelerator="cpu",
            max_steps=work.updates + 1,
            max_epochs=-1,
            logger=False,
            callbacks=[WeightSync(), measured],
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
            inference_mode=False,
            limit_val_batches=0,
            default_root_dir=folder,
        )
        trainer.fit(module, _datamodule(work, tasks))
    template = peer_work.template()
    prompts = [template.open(task.turns[0].message, task.tools_offered_at(0)) for task in tasks]
    Report(tuple(measured.updates), peer_work.digest(prompts)).print()


class FirstTurns:
    """The same tasks in every update."""

    def __init__(self, tasks: tuple[Task, ...]) -> None:
        self._tasks = tasks

    def tasks(self, split: Split) -> tuple[Task, ...]:
        return self._tasks

    def describe(self) -> dict[str, Any]:
        return {"tasks": [task.id for task in self._tasks]}


class TextReward:
    """The reward without tools."""

    def __call__(self, trajectory: Trajectory) -> RewardBreakdown:
        return RewardBreakdown((RewardPart("text", peer_work.text_reward(trajectory.steps[0].completion)),))


class _Measured(lightning.Callback):
    def __init__(self) -> None:
        self.updates: list[Update] = []
        self._ended = time.perf_counter()

    def on_train_start(self, *_: Any) -> None:
        self._ended = time.perf_counter()

    def on_train_batch_end(self, trainer: Any, module: Any, outputs: Any, batch: RolloutBatch, *_: Any) -> None:
        before, self._ended = self._ended, time.perf_counter()
        tokens, sampled = batch.tensors.attention_mask.sum(), batch.tensors.completion_mask.sum()
        self.updates.append(Update(self._ended - before, batch.rollout_seconds, int(tokens), int(sampled)))


def _datamodule(work: Work, tasks: tuple[Task, ...]) -> EnvironmentDataModule:
    collector = Collector(
        FixedLength() if work.plain_tokens else HFGenerator(),
        peer_work.template(),
        NoAugmentation(),
        step_limit=1 if work.plain_tokens else work.step_limit,
        max_prompt_tokens=8192,
        max_response_tokens=work.plain_tokens or work.max_response_tokens,
        max_completion_tokens=work.plain_tokens or work.max_completion_tokens,
    )
    reward = TextReward() if work.plain_tokens else ProgressReward()
    return EnvironmentDataModule(FirstTurns(tasks), collector, reward, _settings(work), work.seed)


def _module(work: Work) -> GRPOModule:
    optimizer = partial(torch.optim.AdamW, lr=work.learning_rate, betas=(0.9, 0.999), weight_decay=0.01)
    return GRPOModule(Policy(load_model(peer_work.MODEL, dtype="float32")), _settings(work), optimizer)


def _settings(work: Work) -> GRPOSettings:
    # conf/budget/tiny.yaml
    return GRPOSettings(group_size=work.group_size, tasks_per_update=work.tasks, max_tokens_per_batch=8192)


if __name__ == "__main__":
    run_program(main)
