"""TensorBoard event files, written by the logging thread in the order in which TensorBoard reads them."""

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
from typing_extensions import override

from envtune.files.atomic_file import opened

_NAME = re.compile(r"events\.out\.tfevents\.(\d+)\..*")
_COUNT = itertools.count()


class TensorBoardLog(TensorBoardLogger):
    """Lightning's logger, writing an `EventFile` in ``folder``: one in each process that logs."""

    def __init__(self, folder: str) -> None:
        super().__init__(str(Path(folder).parent), name=Path(folder).name, version="")

    @property
    @override
    @rank_zero_experiment
    def experiment(self) -> SummaryWriter:
        if self._experiment is None:
            self._experiment = _Writer(self.log_dir)
        return self._experiment

    @override
    def save(self) -> None:
        # Without Lightning's hparams.yaml, which would be empty.
        self.experiment.flush()


class EventFile:
    """A new event file in ``folder``, written by the caller's thread.

    TensorBoard's own writer has a thread, whose errors appear as tracebacks, and again at later events. It also names
    files by the second, and reads them in the order of their names: a file that is made in the second in which the last
    one ended, or after the clock was set back, may be read before it, which breaks the curve. Here a new file has the
    last name, and times are monotonic.

    Raises:
        WriteError: the file cannot be written; from every method.
    """

    def __init__(self, folder: Path) -> None:
        earlier = sorted(path for path in folder.glob("*") if _NAME.fullmatch(path.name))
        self._path = folder / _next_name(earlier[-1].name if earlier else "")
        self._waiting: list[bytes] = []
        self._newest = max((event.wall_time for path in earlier for event in events_of(path)), default=0.0)
        # Seconds by which the clock is behind the newest event.
        self._lag = 0.0
        self.add_event(Event(wall_time=time.time(), file_version="brain.Event:2"))
        self.flush()

    def add_event(self, event: Event) -> None:
        """Buffer an event until ``flush``."""
        self._lag = max(self._lag, self._newest - event.wall_time)
        event.wall_time += self._lag
        self._newest = event.wall_time
        self._waiting.append(event.SerializeToString())

    def flush(self) -> None:
        """Write the buffered events."""
        # Not written again after an error, because the file may end in a truncated record.
        records, self._waiting = self._waiting, []
        if not records:
            return
        with opened(self._path, "ab") as file:
            writer = RecordWriter(file)
            for record in records:
                writer.write(record)


def events_of(path: Path) -> Iterator[Event]:
    """Yield the events of a file; a truncated one is skipped."""
    for record in RawEventFileLoader(str(path)).Load():
        yield Event.FromString(record)


def _next_name(newest: str) -> str:
    """Return a name in TensorBoard's format that sorts after ``newest``."""
    rest = f"{socket.gethostname()}.{os.getpid()}.{next(_COUNT)}"
    name = f"events.out.tfevents.{int(time.time()):010d}.{rest}"
    earlier = _NAME.fullmatch(newest)
    return name if name > newest or not earlier else f"events.out.tfevents.{int(earlier[1]) + 1:010d}.{rest}"


class _Writer(SummaryWriter):
    """A writer that keeps its file after ``close``, which Lightning calls after every fit and validation."""

    file_writer: Any
    all_writers: Any

    @override
    def _get_file_writer(self) -> FileWriter:
        if self.file_writer is None:
            self.file_writer = _FileWriter(self.log_dir)
            self.all_writers = {self.log_dir: self.file_writer}
        return self.file_writer

    @override
    def close(self) -> None:
        self.flush()


class _FileWriter(FileWriter):
    def __init__(self, folder: str) -> None:
        self.event_writer: Any = EventFile(Path(folder))
