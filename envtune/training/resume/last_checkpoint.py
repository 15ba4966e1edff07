"""Saves everything that a run needs to go on as if nothing had happened."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import torch
from lightning import LightningModule, Trainer
from lightning.pytorch.callbacks import Checkpoint
from lightning.pytorch.trainer.states import TrainerFn
from pydantic import Field

from envtune.checked import checked
from envtune.processes.collectives import gather
from envtune.training.distributed.devices import require_as_many_devices
from envtune.training.run_folder.checkpoint_io import previous_of

LAST_CHECKPOINT = "last.ckpt"


@checked
class LastCheckpoint(Checkpoint):
    """Writes ``folder``/last.ckpt every ``every`` updates and after every validation, before the next rollout.

    At that moment the metrics, trajectories and validation of an update are written and nothing of the next has begun,
    so that a checkpoint stands for whole updates. It is written after each validation because the best checkpoint,
    another file, may have changed there: the two never differ by more than one validation.

    Beside Lightning's own contents the checkpoint holds the random generators of every device and whether the run is
    to stop. The end of a run is saved by whoever called ``fit``, after the last validation: `trainer.save_checkpoint`.

    Raises:
        UserError: ``every`` is below 1; while restoring: the checkpoint is of another number of devices.
    """

    def __init__(self, folder: str, every: Annotated[int, Field(ge=1, description="updates")] = 5) -> None:
        self._path = Path(folder) / LAST_CHECKPOINT
        self._every = every
        self._validated = False
        self._restored: list[dict[str, Any]] | None = None

    @property
    def files(self) -> list[Path]:
        """What is written to the disk, for the run's record."""
        return [self._path, previous_of(self._path)]

    def on_validation_end(self, trainer: Trainer, module: LightningModule) -> None:
        self._validated = trainer.state.fn == TrainerFn.FITTING and not trainer.sanity_checking

    def on_rollout_start(self, trainer: Trainer, module: LightningModule) -> None:
        if self._restored is not None:
            self._resume(trainer)
        elif trainer.fit_loop.total_batch_idx >= 0 and (self._validated or trainer.global_step % self._every == 0):
            for logger in trainer.loggers:
                logger.save()
            trainer.save_checkpoint(self._path, weights_only=False)
        self._validated = False

    def on_save_checkpoint(self, trainer: Trainer, module: LightningModule, checkpoint: dict[str, Any]) -> None:
        # Of a run that was over when it was continued, no rollout has taken the restored states.
        states = self._restored or gather(random_state())
        checkpoint["run"] = {"random_states": states, "should_stop": trainer.should_stop}

    def on_load_checkpoint(self, trainer: Trainer, module: LightningModule, checkpoint: dict[str, Any]) -> None:
        # A checkpoint that Lightning's own callbacks saved, before this one was there, has no such entry.
        if trainer.state.fn != TrainerFn.FITTING or "run" not in checkpoint:
            return
        states = checkpoint["run"]["random_states"]
        require_as_many_devices(len(states), trainer.world_size)
        self._restored = states
        trainer.should_stop = checkpoint["run"]["should_stop"]

    def _resume(self, trainer: Trainer) -> None:
        assert self._restored is not None
        set_random_state(self._restored[trainer.global_rank])
        self._restored = None
        # Lightning counts the update before a skipped validation twice, and so would log at other updates.
        # private: no public counter feeds `log_every_n_steps`; loggers that are given every update would replace it.
        trainer.fit_loop.epoch_loop._batches_that_stepped = trainer.fit_loop.total_batch_idx + 1


def random_state() -> dict[str, Any]:
    """Of Python, numpy, torch and, where there is one, this process's GPU."""
    kind, keys, *rest = np.random.get_state(legacy=True)
    state: dict[str, Any] = {
        "python": random.getstate(),
        "numpy": (str(kind), torch.from_numpy(np.asarray(keys).astype(np.int64)), *rest),
        "torch": torch.get_rng_state(),
    }
    return state | ({"cuda": torch.cuda.get_rng_state()} if torch.cuda.is_available() else {})


def set_random_state(state: dict[str, Any]) -> None:
    """Brings the generators back to where ``random_state`` saw them."""
    version, words, gauss = state["python"]
    random.setstate((version, tuple(words), gauss))
    kind, keys, *rest = state["numpy"]
    np.random.set_state((kind, keys.numpy().astype(np.uint32), *rest))
    torch.set_rng_state(state["torch"].cpu())
    if "cuda" in state and torch.cuda.is_available():
        torch.cuda.set_rng_state(state["cuda"].cpu())
