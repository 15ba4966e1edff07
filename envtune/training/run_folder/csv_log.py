"""Metrics as a CSV file to which a resumed run appends."""

from __future__ import annotations

import csv
from argparse import Namespace
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from lightning.pytorch.loggers.logger import Logger
from lightning.pytorch.utilities.rank_zero import rank_zero_only
from typing_extensions import override

from envtune.files.atomic_file import atomic_file, opened

METRICS_FILE = "metrics.csv"
STEP = "step"

Row = Mapping[str, Any]


class CSVLog(Logger):
    """Append a row to ``folder``/metrics.csv with every call, so that the file is complete during the run.

    Lightning's CSVLogger deletes existing rows and buffers new ones for 100 steps, so a run that is killed and resumed
    would lose both. Hyperparameters are not logged here: Hydra writes the config.
    """

    name, version = "", ""

    def __init__(self, folder: str) -> None:
        super().__init__()
        self._path = Path(folder) / METRICS_FILE
        self._columns: list[str] | None = None
        self.name = self._path.parent.name
        self.files = [self._path]
        """The files that this logger writes."""

    @property
    @override
    def save_dir(self) -> str:
        return str(self._path.parent)

    @override
    @rank_zero_only
    def log_metrics(self, metrics: Mapping[str, float], step: int | None = None) -> None:
        row = {**metrics, STEP: step}
        if self._columns is None:
            self._columns = columns_of(self._path)
        if not set(row) <= set(self._columns):
            rows = read_rows(self._path)
            self._columns = sorted({*self._columns, *row})
            write_rows(self._path, self._columns, rows)
        with opened(self._path, "a") as file:
            csv.DictWriter(file, self._columns).writerow(row)

    @override
    def log_hyperparams(self, params: dict[str, Any] | Namespace, *_: Any, **__: Any) -> None:
        pass


def columns_of(path: Path) -> list[str]:
    """Return the names in the header; none if there is no file."""
    if not path.is_file():
        return []
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file).fieldnames or [])


def read_rows(path: Path) -> list[dict[str, str]]:
    """Return every complete row; a truncated one is skipped."""
    if not path.is_file():
        return []
    with path.open(encoding="utf-8", newline="") as file:
        lines = [line for line in file if line.endswith("\n")]
    return [row for row in csv.DictReader(lines) if None not in row and None not in row.values()]


def write_rows(path: Path, columns: Iterable[str], rows: Iterable[Row]) -> None:
    """Replace the file atomically."""
    with atomic_file(path) as file:
        writer = csv.DictWriter(file, list(columns))
        writer.writeheader()
        writer.writerows(rows)
