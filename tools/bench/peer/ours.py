"""envtune's side of `python -m tools.bench.loop --peer trl`: runs updates and prints a report of them as JSON."""

from __future__ import annotations

import time
from functools import partial
from typing import Any

import envtune.process_start

import lightning
import torch
from typing_extensions import override

from envtune.bfcl.environment import BFCL_ENVIRONMENT
from envtune.environment.augmentation.none import NoAugmentation
from envtune.grpo.settings import GRPOSettings
from envtune.program import run_program
from envtune.reward import ProgressReward, Reward, RewardBreakdown, RewardPart
from envtune.rollout.collector import Collector
from envtune.rollout.hf.hf_generator import HFGenerator
from envtune.task import Split, Task
from envtune.training.datamodule import EnvironmentDataModule
from envtune.training.model.policy import Policy
from envtune.training.model.weights import load_model
from envtune.training.module import GRPOModule
from envtune.training.rollout_batch import RolloutBatch
from envtune.trajectory import Trajectory
from tools.bench.fixed_length import FixedLength
from tools.bench.peer import work as peer_work
from tools.bench.peer.work import Report, Update
from tools.bench.random_update import fit


def main() -> None:
    """Run the updates and print the report."""
    work, tasks = peer_work.start(__doc__)
    lightning.seed_everything(work.seed, verbose=False)
    # conf/budget/tiny.yaml
    settings = GRPOSettings(group_size=work.group_size, tasks_per_update=work.tasks, max_tokens_per_batch=8192)
    optimizer = partial(torch.optim.AdamW, lr=work.learning_rate, betas=(0.9, 0.999), weight_decay=0.01)
    module = GRPOModule(Policy(load_model(peer_work.MODEL, dtype="float32")), settings, optimizer)
    template = peer_work.tiny_template()
    collector = Collector(
        FixedLength() if work.plain_tokens else HFGenerator(),
        template,
        BFCL_ENVIRONMENT,
        NoAugmentation(),
        step_limit=1 if work.plain_tokens else work.step_limit,
        max_prompt_tokens=4096,
        max_response_tokens=work.plain_tokens or work.max_response_tokens,
        max_completion_tokens=work.plain_tokens or work.max_completion_tokens,
    )
    reward = TextReward() if work.plain_tokens else ProgressReward()
    data = EnvironmentDataModule(FirstTurns(tasks), collector, reward, settings, work.seed)
    measured = _Measured()
    fit(module, data, work.updates + 1, [measured])
    prompts = [template.open(task.turns[0].message, task.tools_offered_at(0)) for task in tasks]
    Report(tuple(measured.updates), peer_work.digest(prompts)).print()


class FirstTurns:
    """A source that has the given tasks in every split."""

    def __init__(self, tasks: tuple[Task, ...]) -> None:
        self._tasks = tasks

    def tasks(self, split: Split) -> tuple[Task, ...]:
        """Return all tasks, for every split."""
        return self._tasks

    def describe(self) -> dict[str, Any]:
        """Return the ids of the tasks."""
        return {"tasks": [task.id for task in self._tasks]}


class TextReward(Reward):
    """The reward without tools."""

    @override
    def __call__(self, trajectory: Trajectory) -> RewardBreakdown:
        return RewardBreakdown((RewardPart("text", peer_work.text_reward(trajectory.steps[0].completion)),))


class _Measured(lightning.Callback):
    def __init__(self) -> None:
        self.updates: list[Update] = []
        self._ended = 0.0

    def on_train_start(self, *_: Any) -> None:
        self._ended = time.perf_counter()

    def on_train_batch_end(self, trainer: Any, module: Any, outputs: Any, batch: RolloutBatch, *_: Any) -> None:
        before, self._ended = self._ended, time.perf_counter()
        tokens, sampled = len(batch.tensors.ids), len(batch.tensors.sampled)
        self.updates.append(Update(self._ended - before, batch.rollout_seconds, int(tokens), int(sampled)))


if __name__ == "__main__":
    run_program(main)
