"""Roll back what an interrupted run wrote after its checkpoint, so that the resumed run does not write it twice.

Only files in the run's own record are changed (`run_files`), and nothing is deleted: what is rolled back moves to
`rewound-<time>` in the run's folder. Loggers that write elsewhere are not rolled back.
"""

from __future__ import annotations

import csv
import itertools
import logging
import re
import shutil
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
# Bytes around each record of an event file: length and two checksums.
_FRAME = 16
# TensorBoard's record of settings and outcome; a run writes it at its end, so a resumed one writes it again.
_OUTCOME = ("_hparams_/", "hp/")


@rank_zero_only
def roll_back(folder: Path, update: int, start: Path | None = None) -> None:
    """Keep in the run folder what was written up to ``update``, and move everything later out of it.

    A checkpoint that is damaged or of a later update is replaced by its predecessor.

    Args:
        folder: the run folder.
        update: the last update that is kept; 0 keeps the validation before the first one, -1 nothing.
        start: the checkpoint that is resumed, which is not changed.

    Raises:
        UserError: the run's record does not list its files, or its metrics were written by another program.
    """
    removed, checkpoints = _Removed(folder), set()
    start = start.resolve() if start else None
    for path in list(recorded_files(folder)):
        trajectories = _TRAJECTORIES.fullmatch(path.name)
        if path.name.endswith(PARTIAL) or (trajectories and int(trajectories[1]) > update):
            removed.move(path)
        elif path.name == METRICS_FILE:
            _roll_back_metrics(path, update, removed)
        elif path.name.startswith("events.out.tfevents."):
            _roll_back_events(path, update, removed)
        elif path.suffix == ".ckpt":
            checkpoints.add(path.with_name(path.name.replace(".previous", "")))
    for path in sorted(checkpoints):
        if path.resolve() != start and not _is_intact(path, update):
            _roll_back_checkpoint(path, update, start, removed)
    if removed.files:
        written = f"after update {update}" if update >= 0 else "without a checkpoint"
        place = removed.folder.name
        log.info("%s: what the run wrote %s is now in %s (%d files)", folder, written, place, removed.files)


class _Removed:
    """The folder `rewound-<time>` in a run's folder, made for the first file that is rolled back."""

    def __init__(self, run_folder: Path) -> None:
        self._run_folder = run_folder
        name = f"rewound-{datetime.now():%Y-%m-%d_%H-%M-%S}"
        candidates = (run_folder / (f"{name}-{number}" if number else name) for number in itertools.count())
        self.folder = next(candidate for candidate in candidates if not candidate.exists())
        self.files = 0

    def _target(self, path: Path) -> Path:
        # TensorBoard reads every file with "tfevents" in its name as curves of the run.
        target = (self.folder / path.relative_to(self._run_folder)).with_name(path.name.replace("tfevents", "rewound"))
        target.parent.mkdir(parents=True, exist_ok=True)
        self.files += 1
        return target

    def copy(self, path: Path) -> None:
        shutil.copyfile(path, self._target(path))

    def move(self, path: Path) -> None:
        path.replace(self._target(path))


def _roll_back_metrics(path: Path, update: int, removed: _Removed) -> None:
    try:
        rows, columns = read_rows(path), columns_of(path)
        kept = [row for row in rows if int(row[STEP]) <= update]
    except (ValueError, KeyError, csv.Error) as error:
        raise UserError(
            f"{path} is not as the run wrote it ({type(error).__name__}: {' '.join(str(error).split())}): restore it, "
            "or move it out of the run's folder"
        ) from error
    if not kept:
        removed.move(path)
    elif len(kept) < len(path.read_bytes().splitlines()) - 1:
        # Some are of later updates, truncated, or not of this file's columns.
        removed.copy(path)
        write_rows(path, columns, kept)


def _roll_back_events(path: Path, update: int, removed: _Removed) -> None:
    def is_kept(event: Event) -> bool:
        return event.step <= update and not any(value.tag.startswith(_OUTCOME) for value in event.summary.value)

    # The loader skips a truncated record at the end.
    kept = [record for record in RawEventFileLoader(str(path)).Load() if is_kept(Event.FromString(record))]
    if not kept:
        removed.move(path)
    elif sum(len(record) + _FRAME for record in kept) < path.stat().st_size:
        # Some are of later updates, or cannot be read.
        removed.copy(path)
        with atomic_file(path, "wb") as file:
            writer = RecordWriter(file)
            for record in kept:
                writer.write(record)


def _roll_back_checkpoint(path: Path, update: int, start: Path | None, removed: _Removed) -> None:
    """Replace a checkpoint that is missing, damaged or of a later update by its predecessor."""
    previous, existed = previous_of(path), path.is_file()
    if existed:
        removed.move(path)
    if previous.resolve() == start:
        return
    if not previous.is_file():
        if existed and update >= 0:
            log.warning("%s was damaged or of a later update; the run writes it again", path)
    elif _is_intact(previous, update):
        previous.replace(path)
    else:
        removed.move(previous)


def _is_intact(path: Path, update: int) -> bool:
    """Return True for an intact checkpoint of ``update`` or an earlier one."""
    return path.is_file() and damage_of(path) is None and update_of(path) <= update
