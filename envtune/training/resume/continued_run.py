"""Where a run goes on: from the newest whole checkpoint of its folder, with what was written later taken back."""

from __future__ import annotations

import logging
import shutil
from pathlib import Path

import torch
from lightning.pytorch.utilities.rank_zero import rank_zero_only

from envtune.errors import UserError
from envtune.files.atomic_file import atomic_file
from envtune.training.resume.last_checkpoint import LAST_CHECKPOINT
from envtune.training.resume.rollback import roll_back
from envtune.training.run_folder.checkpoint_io import damage_of, previous_of, update_of

log = logging.getLogger(__name__)

# The value of `ckpt_path` that stands for the newest checkpoint of the run folder.
LAST = "last"


def start_of_run(ckpt_path: str | None, folder: str) -> Path | None:
    """The checkpoint that a run in ``folder`` goes on from, None for a start at the beginning.

    ``last`` or a file in ``folder`` itself continue the run that wrote there (`continue_run`). A file of another run
    makes a new run that goes on from it.

    Raises:
        UserError: the file does not exist or is damaged, or all checkpoints of the run are.
    """
    if ckpt_path is None:
        return None
    checkpoints = Path(folder) / "checkpoints"
    path = checkpoints / LAST_CHECKPOINT if ckpt_path == LAST else Path(ckpt_path)
    is_own = path.resolve().is_relative_to(checkpoints.resolve())
    if ckpt_path != LAST:
        _require_state_of_a_run(path, is_own)
    if is_own:
        return continue_run(Path(folder), path)
    log.info("a new run goes on from %s, update %d", path, update_of(path))
    return path


def _require_state_of_a_run(path: Path, is_own: bool) -> None:
    if not path.is_file():
        raise UserError(f"ckpt_path={path} does not exist; give a run's folder or a .ckpt file that it saved")
    # One of the run itself that is damaged may have one before it.
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
def keep_as_own(start: Path, folder: str) -> None:
    """Copies the checkpoint of another run that a new one in ``folder`` starts from, as its first own.

    Without it a run that is killed before its next checkpoint would be resumed from the beginning.
    """
    own = Path(folder) / "checkpoints" / LAST_CHECKPOINT
    if not start.resolve().is_relative_to(own.parent.resolve()):
        with start.open("rb") as source, atomic_file(own, "wb", durable=True) as copy:
            shutil.copyfileobj(source, copy)


def continue_run(folder: Path, newest: Path | None = None) -> Path | None:
    """Brings a run's folder back to its newest whole checkpoint, which is ``newest`` or the one before it.

    Call it before anything is written to the folder, and give what it returns to `Trainer.fit(ckpt_path=…)`. None means
    that the run was interrupted before its first checkpoint, and has to begin anew.

    Raises:
        UserError: there are checkpoints, and all are damaged.
    """
    newest = newest or folder / "checkpoints" / LAST_CHECKPOINT
    start = _newest_whole(newest)
    if start:
        update = update_of(start)
        log.info("%s goes on after update %d, from %s", folder, update, start.name)
    else:
        update = -1
        log.info("%s has no checkpoint yet: starting from the beginning", folder)
    roll_back(folder, update, start)
    return start


def _newest_whole(newest: Path) -> Path | None:
    damages: list[str] = []
    for path in (newest, previous_of(newest)):
        damage = damage_of(path) if path.is_file() else None
        if path.is_file() and damage is None:
            if damages:
                log.warning("%s: going on from the checkpoint before it", damages[0])
            return path
        if damage:
            damages.append(f"{path} is damaged ({damage})")
    if damages:
        raise UserError(f"{'; '.join(damages)}: no other checkpoint of this run is left, start anew in another folder")
    return None
