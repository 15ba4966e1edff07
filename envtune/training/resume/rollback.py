"""Takes back what an interrupted run wrote after its checkpoint, so that resuming it writes that once and not twice.

Only the files that the run's own record lists are touched (`run_files`), and nothing is deleted: what is taken back
moves to `rewound-<time>` in the run's folder. What other loggers sent elsewhere stays there.
"""

from __future__ import annotations

import csv
import itertools
import logging
import re
import shutil
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

from lightning.pytorch.utilities.rank_zero import rank_zero_only
from tensorboard.backend.event_processing.event_file_loader import RawEventFileLoader
from tensorboard.compat.proto.event_pb2 import Event
from tensorboard.summary.writer.record_writer import RecordWriter

from envtune.errors import UserError
from envtune.files.atomic_file import PARTIAL, atomic_file
from envtune.training.run_folder.checkpoint_io import damage_of, previous_of, update_of
from envtune.training.run_folder.csv_log import METRICS_FILE, STEP, columns_of, read_rows, write_rows
from envtune.training.run_folder.run_files import recorded_files

log = logging.getLogger(__name__)

_TRAJECTORIES = re.compile(r"update_(\d+)(\.rank_\d+)?\.jsonl")
# Bytes around each record of an event file: its length and two checksums.
_FRAME = 16
# TensorBoard's record of settings and outcome, written when a run is over and so once more when it is resumed.
_OUTCOME = ("_hparams_/", "hp/")


@rank_zero_only
def roll_back(folder: Path, update: int, start: Path | None = None) -> None:
    """Leaves in the run folder what was written of the updates up to ``update``, nothing of later ones.

    Update 0 is the validation before the first update; -1 leaves nothing. ``start`` is the checkpoint that is resumed.
    Other checkpoints that are damaged or of a later update are taken back too; the best checkpoint is then the one
    before it.

    Raises:
        UserError: the run's record does not list its files, or its metrics were written by another program.
    """
    aside, checkpoints = _Aside(folder), set()
    start = start.resolve() if start else None
    for path in list(recorded_files(folder)):
        trajectories = _TRAJECTORIES.fullmatch(path.name)
        if path.name.endswith(PARTIAL) or (trajectories and int(trajectories[1]) > update):
            aside.take(path)
        elif path.name == METRICS_FILE:
            _roll_back_metrics(path, update, aside)
        elif path.name.startswith("events.out.tfevents."):
            _roll_back_events(path, update, aside)
        elif path.suffix == ".ckpt":
            checkpoints.add(path.with_name(path.name.replace(".previous", "")))
    for path in sorted(checkpoints):
        if path.resolve() != start and not _is_of(path, update):
            _roll_back_checkpoint(path, update, start, aside)
    if aside.files:
        written = f"after update {update}" if update >= 0 else "without a checkpoint"
        log.info("%s: what the run wrote %s is now in %s (%d files)", folder, written, aside.place.name, aside.files)


class _Aside:
    """`rewound-<time>` in the run's ``folder``, made for the first file that is taken back."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        name = f"rewound-{datetime.now():%Y-%m-%d_%H-%M-%S}"
        places = (folder / (f"{name}-{number}" if number else name) for number in itertools.count())
        self.place = next(place for place in places if not place.exists())
        self.files = 0

    def new(self, path: Path) -> Path:
        """Where what is taken back of ``path`` is to be written."""
        # TensorBoard takes every file with "tfevents" in its name for one of a run's curves.
        target = (self.place / path.relative_to(self._folder)).with_name(path.name.replace("tfevents", "rewound"))
        target.parent.mkdir(parents=True, exist_ok=True)
        self.files += 1
        return target

    def copy(self, path: Path) -> None:
        shutil.copyfile(path, self.new(path))

    def take(self, path: Path) -> None:
        path.replace(self.new(path))


def _roll_back_metrics(path: Path, update: int, aside: _Aside) -> None:
    try:
        rows, columns = read_rows(path), columns_of(path)
        kept = [row for row in rows if int(row[STEP]) <= update]
    except (ValueError, KeyError, csv.Error) as error:
        raise UserError(
            f"{path} is not as the run wrote it ({type(error).__name__}: {' '.join(str(error).split())}): restore it, "
            "or move it out of the run's folder"
        ) from error
    if not kept:
        aside.take(path)
        return
    if len(kept) < len(path.read_bytes().splitlines()) - 1:
        # Some are of later updates, were cut off while they were written, or are not of this file's columns.
        aside.copy(path)
        write_rows(path, columns, kept)


def _roll_back_events(path: Path, update: int, aside: _Aside) -> None:
    kept = [record for record in _records(path) if _is_kept(Event.FromString(record), update)]
    if not kept:
        aside.take(path)
    elif sum(len(record) + _FRAME for record in kept) < path.stat().st_size:
        # Some are of later updates, or cannot be read.
        aside.copy(path)
        _write_records(path, kept)


def _roll_back_checkpoint(path: Path, update: int, start: Path | None, aside: _Aside) -> None:
    """Of a checkpoint that is missing, damaged or of a later update: the one before it takes its place."""
    previous, was_there = previous_of(path), path.is_file()
    if was_there:
        aside.take(path)
    if previous.resolve() == start:
        return
    if not previous.is_file():
        if was_there and update >= 0:
            log.warning("%s was damaged or of a later update; the run writes it again", path)
    elif _is_of(previous, update):
        previous.replace(path)
    else:
        aside.take(previous)


def _write_records(path: Path, records: list[bytes]) -> None:
    with atomic_file(path, "wb") as file:
        writer = RecordWriter(file)
        for record in records:
            writer.write(record)


def _is_kept(event: Event, update: int) -> bool:
    return event.step <= update and not any(value.tag.startswith(_OUTCOME) for value in event.summary.value)


def _records(path: Path) -> Iterator[bytes]:
    """The events of a file; one that was cut off while it was written is left out."""
    yield from RawEventFileLoader(str(path)).Load()


def _is_of(path: Path, update: int) -> bool:
    """A whole checkpoint of ``update`` or an earlier one."""
    return path.is_file() and damage_of(path) is None and update_of(path) <= update
