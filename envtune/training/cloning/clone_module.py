"""Cloning as a LightningModule: one batch of demonstrations in, one optimiser step out."""

from __future__ import annotations

from collections.abc import Iterator
from math import log

from torch import Tensor
from typing_extensions import override

from envtune.errors import UserError
from envtune.grpo.batch import TrainBatch
from envtune.grpo.loss import TOKEN_MEAN
from envtune.training.cloning.clone_datamodule import CloneDataModule
from envtune.training.module import GRPOModule
from envtune.training.reporting.phase_clock import PhaseClock
from envtune.training.rollout_batch import RolloutBatch


class CloneModule(GRPOModule):
    """Cross-entropy, in nats, averaged over the tokens of the responses in an update's demonstrations.

    Everything but the loss is that of `GRPOModule`: optimiser, schedule, gradient accumulation, clipping, checkpoints,
    validation. Of its settings, ``tasks_per_update``, ``max_tokens_per_batch`` and ``gradient_clip`` have an effect.
    The Trainer must have a `CloneDataModule`.
    """

    @override
    def setup(self, stage: str) -> None:
        super().setup(stage)
        if not isinstance(self.trainer.datamodule, CloneDataModule):  # type: ignore[attr-defined]
            raise UserError(
                "CloneModule would learn to repeat whatever a sampler wrote: give the Trainer "
                "datamodule=CloneDataModule(…), whose episodes are written from ground truths"
            )

    @override
    def _losses(self, batch: TrainBatch, clock: PhaseClock) -> Iterator[Tensor]:
        for micro, weights, counted in self._micro_batches(batch, TOKEN_MEAN):
            with clock.phase("policy"):
                tokens = self.policy(micro)
            if counted:
                losses = -tokens.logprobs.detach()
                # More than half of the probability makes a token the likeliest one, whatever the others have.
                likeliest = (losses < log(2)).float()
                samples = {"clone/loss": losses, "clone/accuracy": likeliest, "entropy": tokens.entropy.detach()}
                self._train_aggregates.add({name: values.tolist() for name, values in samples.items()})
            yield -(weights * tokens.logprobs).sum()

    @override
    def _log_rollout(self, batch: RolloutBatch) -> None:
        self._train_aggregates.add(batch.sampler)
        self._log_update()
