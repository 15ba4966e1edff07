"""The moment between two updates: all of the one is done, nothing of the next has begun."""

from __future__ import annotations

from typing import Any, Protocol, runtime_checkable

from lightning import LightningModule, Trainer


@runtime_checkable
class RolloutStart(Protocol):
    """A callback with this method is called right before a training rollout begins.

    Lightning has no hook there: ``on_train_batch_end`` comes before the validation and the logged row of its update,
    ``on_train_batch_start`` when the next rollout has been played.
    """

    def on_rollout_start(self, trainer: Trainer, module: LightningModule) -> None: ...


def announce_rollout(trainer: Any) -> None:
    """Calls the callbacks of ``trainer`` that wait for a rollout, in their order."""
    for callback in trainer.callbacks:
        if isinstance(callback, RolloutStart):
            callback.on_rollout_start(trainer, trainer.lightning_module)
