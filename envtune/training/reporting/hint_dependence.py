"""Hint dependence at validation: how much better the policy plays the validation tasks with hints than without."""

from __future__ import annotations

from dataclasses import replace
from statistics import fmean
from typing import Any

from lightning import Callback, LightningModule, Trainer
from typing_extensions import override

from envtune.checked import checked
from envtune.environment.augmentation import Augmentation
from envtune.processes.collectives import gather
from envtune.rollout.collector import EpisodeRequest
from envtune.task import Split
from envtune.training.reporting.scalar_log import log_scalars
from envtune.training.rollout_batch import ValidationBatch
from envtune.trajectory import Trajectory

NAME = "env/hint_dependence"


@checked
class HintDependence(Callback):
    """Play every validated task once more, with hints, and log the mean difference of progress (``NAME``).

    Weights, tasks and seeds are those of the validation, and both are greedy. The validation itself, its trajectories
    and metrics are unchanged. Works with several ranks: each plays its own tasks again.

    Args:
        hints: the augmentation of the second play, whatever that of training.
        enabled: whether to play again; it takes about as long as the validation.
    """

    def __init__(self, hints: Augmentation, enabled: bool = False) -> None:
        self._hints, self._enabled = hints, enabled
        self._validated: list[Trajectory] = []

    @override
    def on_validation_batch_end(
        self, trainer: Trainer, module: LightningModule, outputs: Any, batch: ValidationBatch, *_: Any
    ) -> None:
        if self._enabled and not trainer.sanity_checking:
            self._validated.extend(batch.trajectories)

    @override
    def on_validation_end(self, trainer: Trainer, module: LightningModule) -> None:
        if not self._enabled or trainer.sanity_checking:
            return
        datamodule = trainer.datamodule  # type: ignore[attr-defined]
        tasks = {task.id: task for task in datamodule.source.tasks(Split.VAL)}
        requests = [EpisodeRequest(tasks[without.task_id], without.seed) for without in self._validated]
        # A collector of its own, because the other one counts the time of the rollouts.
        hinted = replace(datamodule.collector, augmentation=self._hints).play(requests, greedy=True)
        pairs = zip(hinted, self._validated, strict=True)
        own = [with_hints.progress - without.progress for with_hints, without in pairs]
        self._validated.clear()
        if differences := [difference for rank in gather(own) for difference in rank]:
            log_scalars(trainer, {NAME: fmean(differences)})
