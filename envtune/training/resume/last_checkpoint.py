"""The checkpoint from which a run is resumed bit by bit."""

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
from typing_extensions import override

from envtune.checked import checked
from envtune.processes.collectives import gather
from envtune.training.distributed.devices import require_same_device_count
from envtune.training.run_folder.checkpoint_io import previous_of
from envtune.training.run_folder.checkpoint_names import LAST_CHECKPOINT


@checked
class LastCheckpoint(Checkpoint):
    """Write ``folder``/last.ckpt every ``every`` updates and after every validation, before the next rollout.

    At that point metrics, trajectories and validation of an update are written and the next one has not begun, so a
    checkpoint stands for whole updates. It is also written after each validation, because the best checkpoint may have
    changed there: the two never differ by more than one validation.

    Beside Lightning's contents the checkpoint holds the random states of every rank and whether the run should stop.
    The caller of ``fit`` saves the end of a run after the last validation, with `trainer.save_checkpoint`.

    Raises:
        UserError: ``every`` is below 1; while restoring: the checkpoint is of another number of devices.
    """

    def __init__(self, folder: str, every: Annotated[int, Field(ge=1, description="updates")] = 5) -> None:
        self._path = Path(folder) / LAST_CHECKPOINT
        self._every = every
        self._validated = False
        self._restored: list[dict[str, Any]] | None = None
        self.files = [self._path, previous_of(self._path)]
        """The files that this callback writes."""

    @override
    def on_validation_end(self, trainer: Trainer, module: LightningModule) -> None:
        self._validated = trainer.state.fn == TrainerFn.FITTING and not trainer.sanity_checking

    def on_rollout_start(self, trainer: Trainer, module: LightningModule) -> None:
        """Restore the random states of a resumed run, or save the checkpoint if it is due."""
        if self._restored is not None:
            set_random_state(self._restored[trainer.global_rank])
            self._restored = None
            # Lightning counts the update before a skipped validation twice, and so would log at other updates.
            # private: no public counter feeds `log_every_n_steps`; loggers that get every update would replace it.
            trainer.fit_loop.epoch_loop._batches_that_stepped = trainer.fit_loop.total_batch_idx + 1
        elif trainer.fit_loop.total_batch_idx >= 0 and (self._validated or trainer.global_step % self._every == 0):
            for logger in trainer.loggers:
                logger.save()
            trainer.save_checkpoint(self._path, weights_only=False)
        self._validated = False

    @override
    def on_save_checkpoint(self, trainer: Trainer, module: LightningModule, checkpoint: dict[str, Any]) -> None:
        # A run that was over when it was resumed has no rollout that restores the states.
        states = self._restored or gather(random_state())
        checkpoint["run"] = {"random_states": states, "should_stop": trainer.should_stop}

    @override
    def on_load_checkpoint(self, trainer: Trainer, module: LightningModule, checkpoint: dict[str, Any]) -> None:
        # A checkpoint of Lightning's own callbacks does not have this entry.
        if trainer.state.fn != TrainerFn.FITTING or "run" not in checkpoint:
            return
        states = checkpoint["run"]["random_states"]
        require_same_device_count(len(states), trainer.world_size)
        self._restored = states
        trainer.should_stop = checkpoint["run"]["should_stop"]


def random_state() -> dict[str, Any]:
    """Return the states of the random generators of Python, numpy, torch and, with CUDA, the GPU of this process."""
    kind, keys, *rest = np.random.get_state(legacy=True)
    state: dict[str, Any] = {
        "python": random.getstate(),
        "numpy": (str(kind), torch.from_numpy(np.asarray(keys).astype(np.int64)), *rest),
        "torch": torch.get_rng_state(),
    }
    return state | ({"cuda": torch.cuda.get_rng_state()} if torch.cuda.is_available() else {})


def set_random_state(state: dict[str, Any]) -> None:
    """Restore the states of the random generators from ``random_state``."""
    version, words, gauss = state["python"]
    random.setstate((version, tuple(words), gauss))
    kind, keys, *rest = state["numpy"]
    np.random.set_state((kind, keys.numpy().astype(np.uint32), *rest))
    torch.set_rng_state(state["torch"].cpu())
    if "cuda" in state and torch.cuda.is_available():
        torch.cuda.set_rng_state(state["cuda"].cpu())
