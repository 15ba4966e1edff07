"""Marks on every curve which stage of a curriculum an update belongs to."""

from __future__ import annotations

from typing import Any

from lightning import Callback, LightningModule, Trainer

from envtune.training.scalar_log import log_scalars


class StageMark(Callback):
    """Logs ``curriculum/stage`` with every update: the stage's ``place`` in the curriculum, from 1."""

    def __init__(self, place: int) -> None:
        self._place = float(place)

    def on_train_batch_end(self, trainer: Trainer, module: LightningModule, *_: Any) -> None:
        log_scalars(trainer, {"curriculum/stage": self._place})
