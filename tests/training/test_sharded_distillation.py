"""trainer=fsdp with distill=hindsight: a rank without a taught call passes with the other, which has some."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from sharded_run import together
from test_hindsight import RECOVERS, Equal
from toy_training import SGD, settings_of, toy_trainer
from toy_world import PERFECT, ScriptedGenerator, ToyTasks, toy_collector, toy_model, toy_tokenizer

from envtune.environment.augmentation.actionable import Actionable
from envtune.training.datamodule import EnvironmentDataModule
from envtune.training.hindsight import Hindsight
from envtune.training.model.fsdp_strategy import FSDP2Strategy
from envtune.training.model.policy import Policy
from envtune.training.model.sharding import full_tensor
from envtune.training.module import GRPOModule
from envtune.training.task_stream import shuffled

pytestmark = pytest.mark.timeout(600)

TAUGHT = shuffled(2, 0, 0)[1]
"""The task that the second rank plays."""
GRPO = {"beta": 0.0, "entropy_coef": 0.0, "gradient_clip": 1e9, "importance": "token"}


def script(users: Sequence[str], seed: int) -> str:
    lines = RECOVERS if users[0].startswith(f"Task {TAUGHT}:") else PERFECT
    return lines[len(users) - 1]


def trained(folder: Path, **arguments: Any) -> list[torch.Tensor]:
    """The weights after one update, in which the teacher alone has a gradient."""
    tokenizer, distill = toy_tokenizer(), Hindsight(1.0, clip=1000.0)
    collector = toy_collector(tokenizer, ScriptedGenerator(tokenizer, script), Actionable())
    datamodule = EnvironmentDataModule(ToyTasks(2), collector, Equal(), settings_of(**GRPO), distill=distill)
    module = GRPOModule(Policy(toy_model()), settings_of(**GRPO), SGD, distill=distill)
    toy_trainer(folder, **arguments).fit(module, datamodule)
    return [full_tensor(weights).detach() for weights in module.policy.parameters()]


def play(folder: Path) -> None:
    torch.save(trained(folder, devices=2, strategy=FSDP2Strategy()), folder / "sharded.pt")


def test_an_update_with_a_taught_call_on_one_rank_alone_is_that_of_one_process(tmp_path: Path) -> None:
    codes, said = together(play, tmp_path)
    assert codes == [0, 0], said
    alone = trained(tmp_path)
    before = [weights.detach() for weights in toy_model().parameters()]
    assert max((one - other).abs().max().item() for one, other in zip(alone, before, strict=True)) > 1e-3
    for ours, theirs in zip(torch.load(tmp_path / "sharded.pt"), alone, strict=True):
        torch.testing.assert_close(ours, theirs, atol=1e-5, rtol=0)
