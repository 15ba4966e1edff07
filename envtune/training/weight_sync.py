"""Weight sync: the generator gets the policy's weights after every update."""

from __future__ import annotations

import time
from typing import Any

from lightning import Callback, LightningModule, Trainer
from lightning.pytorch.trainer.states import TrainerFn
from typing_extensions import override

from envtune.training.datamodule import EnvironmentDataModule
from envtune.training.module import GRPOModule


class WeightSync(Callback):
    """Sync weights before training, after every update, and before a validation outside of training.

    Without it the module raises for off-policy rollouts.
    """

    @override
    def on_train_start(self, trainer: Trainer, module: LightningModule) -> None:
        sync_weights(trainer, module)

    @override
    def on_train_batch_end(self, trainer: Trainer, module: LightningModule, *_: Any) -> None:
        sync_weights(trainer, module)

    @override
    def on_validation_start(self, trainer: Trainer, module: LightningModule) -> None:
        # Within fit the weights were synced after the last update.
        if trainer.state.fn == TrainerFn.VALIDATING or trainer.sanity_checking:
            sync_weights(trainer, module)


def sync_weights(trainer: Trainer, module: LightningModule) -> None:
    """Update the generator's weights to those of the policy. A collective."""
    datamodule = trainer.datamodule  # type: ignore[attr-defined]
    assert isinstance(module, GRPOModule)
    assert isinstance(datamodule, EnvironmentDataModule)
    started = time.perf_counter()
    datamodule.collector.generator.update_weights(module.policy.model_to_sample(), module.policy_version)
    module.sync_seconds = time.perf_counter() - started
