"""Takes back what an interrupted run wrote after its checkpoint, so that going on writes it once and not twice.

Goes by names: `metrics.csv`, TensorBoard's event files, `update_N.jsonl`. What other loggers sent
elsewhere stays there.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator
from pathlib import Path

from lightning.pytorch.utilities.rank_zero import rank_zero_only
from tensorboard.backend.event_processing.event_file_loader import RawEventFileLoader
from tensorboard.compat.proto.event_pb2 import Event
from tensorboard.summary.writer.record_writer import RecordWriter

from envtune.training.checkpoint_io import damage_of, previous_of, update_of
from envtune.training.csv_log import METRICS_FILE, STEP, columns_of, read_rows, write_rows
from envtune.whole_file import PARTIAL, whole_file

log = logging.getLogger(__name__)

_TRAJECTORIES = re.compile(r"update_(\d+)(\.rank_\d+)?\.jsonl")
# TensorBoard's record of settings and outcome, written when a run is over and so once more when it is continued.
_OUTCOME = ("_hparams_/", "hp/")
# What a kill leaves of a file that was being written.
_LITTER = (PARTIAL, ".ckpt.new")


@rank_zero_only
def rewind(folder: Path, update: int) -> None:
    """Leaves in the run folder what was written of the updates up to ``update``, nothing of later ones.

    Update 0 is the validation before the first update; -1 leaves nothing. The best checkpoint goes back to the one
    before it where it is of a later update.
    """
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        trajectories = _TRAJECTORIES.fullmatch(path.name)
        if path.name.endswith(_LITTER) or (trajectories and int(trajectories[1]) > update):
            path.unlink()
        elif path.name == METRICS_FILE:
            _rewind_metrics(path, update)
        elif path.name.startswith("events.out.tfevents."):
            _rewind_events(path, update)
    for best in {path.with_name(path.name.replace(".previous", "")) for path in folder.rglob("best*.ckpt")}:
        if not _is_of(best, update):
            _rewind_best(best, update)


def _rewind_metrics(path: Path, update: int) -> None:
    kept = [row for row in read_rows(path) if int(row[STEP]) <= update]
    if kept:
        write_rows(path, columns_of(path), kept)
    else:
        path.unlink()


def _rewind_events(path: Path, update: int) -> None:
    kept = [record for record in _records(path) if _is_kept(Event.FromString(record), update)]
    if not kept:
        path.unlink()
        return
    with whole_file(path, "wb") as file:
        writer = RecordWriter(file)
        for record in kept:
            writer.write(record)


def _is_kept(event: Event, update: int) -> bool:
    return event.step <= update and not any(value.tag.startswith(_OUTCOME) for value in event.summary.value)


def _records(path: Path) -> Iterator[bytes]:
    """The events of a file; one that was cut off while it was written is left out."""
    yield from RawEventFileLoader(str(path)).Load()


def _rewind_best(best: Path, update: int) -> None:
    previous = previous_of(best)
    best.unlink(missing_ok=True)
    if _is_of(previous, update):
        previous.replace(best)
        return
    previous.unlink(missing_ok=True)
    if update >= 0:
        log.warning("%s was of a later update and is gone; it is written again at the next better validation", best)


def _is_of(path: Path, update: int) -> bool:
    """A whole checkpoint of ``update`` or an earlier one."""
    return path.is_file() and damage_of(path) is None and update_of(path) <= update
