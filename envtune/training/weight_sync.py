"""Gives the generator the policy's weights after every update."""

from __future__ import annotations

import time
from typing import Any

from lightning import Callback, LightningModule, Trainer
from lightning.pytorch.trainer.states import TrainerFn

from envtune.training.datamodule import EnvironmentDataModule
from envtune.training.module import GRPOModule


class WeightSync(Callback):
    """Without it rollouts would come from old weights; the module refuses those."""

    def on_train_start(self, trainer: Trainer, module: LightningModule) -> None:
        give_weights(trainer, module)

    def on_train_batch_end(self, trainer: Trainer, module: LightningModule, *_: Any) -> None:
        give_weights(trainer, module)

    def on_validation_start(self, trainer: Trainer, module: LightningModule) -> None:
        # Later within fit the weights are there already, since the last update.
        if trainer.state.fn == TrainerFn.VALIDATING or trainer.sanity_checking:
            give_weights(trainer, module)


def give_weights(trainer: Trainer, module: LightningModule) -> None:
    """Brings the generator's weights up to date. All devices must call this together."""
    datamodule = trainer.datamodule  # type: ignore[attr-defined]
    assert isinstance(module, GRPOModule)
    assert isinstance(datamodule, EnvironmentDataModule)
    started = time.perf_counter()
    datamodule.collector.generator.update_weights(module.policy.model_to_sample(), module.policy_version)
    module.sync_seconds = time.perf_counter() - started
