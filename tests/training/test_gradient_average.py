from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from lightning import Callback
from torch import distributed
from toy_training import toy_datamodule, toy_module, toy_trainer

from envtune.grpo.loss import AGGREGATIONS
from envtune.training.module import GRPOModule
from envtune.training.rollout_batch import RolloutBatch

# With lr 1 the step is the gradient.
GRPO = {"tasks_per_update": 4, "gradient_clip": 1e9}


class Uneven(Callback):
    """The first process takes its rows in one micro-batch, the second each alone.

    Each leaves its weights, and how many sampled tokens it learned from.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def on_fit_start(self, trainer: Any, module: Any) -> None:
        module.grpo = replace(module.grpo, max_tokens_per_batch=(65536, 1)[trainer.global_rank])

    def on_train_batch_start(self, trainer: Any, module: Any, batch: RolloutBatch, batch_idx: int) -> None:
        self._tokens = len(batch.tensors.sampled)

    def on_train_end(self, trainer: Any, module: Any) -> None:
        left = {"weights": module.policy.model.state_dict(), "tokens": self._tokens}
        torch.save(left, self._folder / f"rank_{trainer.global_rank}.pt")


def ending_anywhere(**settings: Any) -> GRPOModule:
    """A fourth of all tokens end its completions, so that they are of many lengths."""
    module = toy_module(**settings)
    module.policy.model.generation_config.eos_token_id = list(range(0, 400, 4))
    return module


@pytest.mark.skipif(not distributed.is_available(), reason="this PyTorch has no torch.distributed")
@pytest.mark.parametrize("aggregation", AGGREGATIONS)
def test_two_processes_with_uneven_tokens_and_micro_batches_make_the_update_of_one(
    tokenizer: Any, tmp_path: Path, aggregation: str
):
    settings = GRPO | {"aggregation": aggregation}
    alone = ending_anywhere(**settings)
    toy_trainer(tmp_path).fit(alone, toy_datamodule(tokenizer, **settings))
    trainer = toy_trainer(tmp_path, [Uneven(tmp_path)], devices=2, strategy="ddp_spawn")
    trainer.fit(ending_anywhere(**settings), toy_datamodule(tokenizer, **settings))
    first, second = (torch.load(tmp_path / f"rank_{rank}.pt", weights_only=True) for rank in range(2))
    assert first["tokens"] != second["tokens"]
    for name, weight in alone.policy.model.state_dict().items():
        assert first["weights"][name].equal(second["weights"][name])
        torch.testing.assert_close(first["weights"][name], weight, atol=1e-5, rtol=0)
