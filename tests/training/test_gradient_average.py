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

# With lr 1 the step is the gradient.
GRPO = {"tasks_per_update": 4, "gradient_clip": 1e9}


class Uneven(Callback):
    """The first process takes its rows in one micro-batch, the second each alone; both leave their weights."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def on_fit_start(self, trainer: Any, module: Any) -> None:
        module.grpo = replace(module.grpo, max_tokens_per_batch=(65536, 1)[trainer.global_rank])

    def on_train_end(self, trainer: Any, module: Any) -> None:
        torch.save(module.policy.model.state_dict(), self._folder / f"rank_{trainer.global_rank}.pt")


@pytest.mark.skipif(not distributed.is_available(), reason="this PyTorch has no torch.distributed")
@pytest.mark.parametrize("aggregation", AGGREGATIONS)
def test_two_processes_with_uneven_micro_batches_make_the_update_of_one(
    tokenizer: Any, tmp_path: Path, aggregation: str
):
    settings = GRPO | {"aggregation": aggregation}
    alone = toy_module(**settings)
    toy_trainer(tmp_path).fit(alone, toy_datamodule(tokenizer, **settings))
    trainer = toy_trainer(tmp_path, [Uneven(tmp_path)], devices=2, strategy="ddp_spawn")
    trainer.fit(toy_module(**settings), toy_datamodule(tokenizer, **settings))
    first, second = (torch.load(tmp_path / f"rank_{rank}.pt", weights_only=True) for rank in range(2))
    for name, weight in alone.policy.model.state_dict().items():
        assert first[name].equal(second[name])
        torch.testing.assert_close(first[name], weight, atol=1e-5, rtol=0)
