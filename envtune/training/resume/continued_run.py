"""Resume a run from the newest intact checkpoint of its folder; later files are rolled back."""

from __future__ import annotations

import logging
import shutil
from pathlib import Path

import torch
from lightning.pytorch.utilities.rank_zero import rank_zero_only

from envtune.errors import UserError
from envtune.files.atomic_file import atomic_file
from envtune.training.resume.rollback import roll_back
from envtune.training.run_folder.checkpoint_io import damage_of, previous_of, update_of
from envtune.training.run_folder.checkpoint_names import CHECKPOINTS, LAST, LAST_CHECKPOINT, last_checkpoint_of

log = logging.getLogger(__name__)


def find_resume_checkpoint(ckpt_path: str | None, folder: str) -> Path | None:
    """Return the checkpoint from which a run in ``folder`` continues; None to start from the beginning.

    ``last`` or a file in ``folder`` resume the run of the folder (`resume_run`). A file of another run starts a new run
    from its state.

    Raises:
        UserError: the file does not exist or is damaged, or all checkpoints of the run are.
    """
    if ckpt_path is None:
        return None
    checkpoints = Path(folder) / CHECKPOINTS
    path = checkpoints / LAST_CHECKPOINT if ckpt_path == LAST else Path(ckpt_path)
    is_own = path.resolve().is_relative_to(checkpoints.resolve())
    if ckpt_path != LAST:
        _require_run_state(path, is_own)
    if is_own:
        return resume_run(Path(folder), path)
    log.info("a new run continues from %s, update %d", path, update_of(path))
    return path


def _require_run_state(path: Path, is_own: bool) -> None:
    if not path.is_file():
        raise UserError(f"ckpt_path={path} does not exist; give a run's folder or a .ckpt file that it saved")
    # A damaged checkpoint of the run itself may have a predecessor.
    if damage := damage_of(path):
        if is_own:
            return
        raise UserError(f"checkpoint {path} cannot be read ({damage}); give one that a run has saved completely")
    if "optimizer_states" not in torch.load(path, map_location="cpu", weights_only=True, mmap=True):
        raise UserError(
            f"ckpt_path={path} holds weights alone, from which no run can be continued: give the run's folder or its "
            f"last.ckpt, or start from the weights with init_from={path}"
        )


@rank_zero_only
def adopt_checkpoint(start: Path, folder: str) -> None:
    """Copy the checkpoint of another run from which a run starts, as the first checkpoint of its own ``folder``.

    Without it, a run that is killed before its next checkpoint would restart from the beginning.
    """
    own = last_checkpoint_of(folder)
    if not start.resolve().is_relative_to(own.parent.resolve()):
        with start.open("rb") as source, atomic_file(own, "wb", durable=True) as copy:
            shutil.copyfileobj(source, copy)


def resume_run(folder: Path, newest: Path | None = None) -> Path | None:
    """Roll a run's folder back to its newest intact checkpoint, ``newest`` or its predecessor, and return that.

    Call it before anything is written to the folder, and pass the result to `Trainer.fit(ckpt_path=…)`. None if the run
    was interrupted before its first checkpoint, and must start from the beginning.

    Raises:
        UserError: there are checkpoints, but all are damaged.
    """
    newest = newest or last_checkpoint_of(folder)
    start = _newest_intact(newest)
    if start:
        update = update_of(start)
        log.info("%s continues after update %d, from %s", folder, update, start.name)
    else:
        update = -1
        log.info("%s has no checkpoint yet: starting from the beginning", folder)
    roll_back(folder, update, start)
    return start


def _newest_intact(newest: Path) -> Path | None:
    damages: list[str] = []
    for path in filter(Path.is_file, (newest, previous_of(newest))):
        damage = damage_of(path)
        if damage is None:
            if damages:
                log.warning("%s: continuing from the checkpoint before it", damages[0])
            return path
        damages.append(f"{path} is damaged ({damage})")
    if damages:
        raise UserError(f"{'; '.join(damages)}: no other checkpoint of this run is left, start anew in another folder")
    return None
