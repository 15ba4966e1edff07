"""TensorBoard's curves, written by the thread that logs them and in the order that TensorBoard reads them in."""

from __future__ import annotations

import itertools
import os
import re
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from lightning.fabric.loggers.logger import rank_zero_experiment
from lightning.pytorch.loggers import TensorBoardLogger
from tensorboard.backend.event_processing.event_file_loader import RawEventFileLoader
from tensorboard.compat.proto.event_pb2 import Event
from tensorboard.summary.writer.record_writer import RecordWriter
from torch.utils.tensorboard import FileWriter, SummaryWriter

from envtune.files.atomic_file import opened

_NAME = re.compile(r"events\.out\.tfevents\.(\d+)\..*")
_COUNT = itertools.count()


class TensorBoardLog(TensorBoardLogger):
    """Lightning's logger with an `EventFile`: one in each process that writes the curves in ``folder``."""

    def __init__(self, folder: str) -> None:
        super().__init__(str(Path(folder).parent), name=Path(folder).name, version="")

    @property
    @rank_zero_experiment
    def experiment(self) -> SummaryWriter:
        if self._experiment is None:
            self._experiment = _Writer(self.log_dir)
        return self._experiment

    def save(self) -> None:
        """Writes what was logged. Lightning's also writes hparams.yaml, in which there would be nothing."""
        self.experiment.flush()


class EventFile:
    """A new event file in ``folder``, written by the caller's thread. What is added is on the disk after ``flush``.

    TensorBoard's own writer has a thread whose errors appear as a traceback, and again at a later event. It also names
    files by the second, and their names are the order in which they are read: a part of a run that begins in the second
    in which the last one ended, or after the clock was put back, may come before it, and the curve is torn. Here a new
    file is the last one by its name, and times never fall.

    Raises:
        WriteError: from every method that writes.
    """

    def __init__(self, folder: Path) -> None:
        earlier = sorted(path for path in folder.glob("*") if _NAME.fullmatch(path.name))
        self._path = folder / _next_name(earlier[-1].name if earlier else "")
        self._waiting: list[bytes] = []
        self._newest = max((event.wall_time for path in earlier for event in events_of(path)), default=0.0)
        # Seconds by which the clock is behind what was written.
        self._lag = 0.0
        self.add_event(Event(wall_time=time.time(), file_version="brain.Event:2"))
        self.flush()

    def add_event(self, event: Event) -> None:
        self._lag = max(self._lag, self._newest - event.wall_time)
        event.wall_time += self._lag
        self._newest = event.wall_time
        self._waiting.append(event.SerializeToString())

    def flush(self) -> None:
        # Not tried again after an error, for the file may end in half a record.
        records, self._waiting = self._waiting, []
        if not records:
            return
        with opened(self._path, "ab") as file:
            writer = RecordWriter(file)
            for record in records:
                writer.write(record)


def events_of(path: Path) -> Iterator[Event]:
    """The events of a file; one that was cut off while it was written is left out."""
    for record in RawEventFileLoader(str(path)).Load():
        yield Event.FromString(record)


def _next_name(newest: str) -> str:
    """A name in TensorBoard's form that comes after ``newest`` in the order of names."""
    rest = f"{socket.gethostname()}.{os.getpid()}.{next(_COUNT)}"
    name = f"events.out.tfevents.{int(time.time()):010d}.{rest}"
    earlier = _NAME.fullmatch(newest)
    return name if name > newest or not earlier else f"events.out.tfevents.{int(earlier[1]) + 1:010d}.{rest}"


class _Writer(SummaryWriter):
    """Writes on in the same file after ``close``, which Lightning calls whenever it has fitted or validated."""

    file_writer: Any
    all_writers: Any

    def _get_file_writer(self) -> FileWriter:
        if self.file_writer is None:
            self.file_writer = _FileWriter(self.log_dir)
            self.all_writers = {self.log_dir: self.file_writer}
        return self.file_writer

    def close(self) -> None:
        self.flush()


class _FileWriter(FileWriter):
    def __init__(self, folder: str) -> None:
        self.event_writer: Any = EventFile(Path(folder))
