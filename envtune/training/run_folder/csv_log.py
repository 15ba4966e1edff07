"""Metrics as a CSV file that a continued run goes on with."""

from __future__ import annotations

import csv
from argparse import Namespace
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from lightning.pytorch.loggers.logger import Logger
from lightning.pytorch.utilities.rank_zero import rank_zero_only

from envtune.files.atomic_file import atomic_file, opened

METRICS_FILE = "metrics.csv"
STEP = "step"

Row = Mapping[str, Any]


class CSVLog(Logger):
    """Appends a row to ``folder``/metrics.csv for whatever is logged, and can be read while the run goes on.

    Lightning's CSVLogger deletes the rows that it finds and keeps new ones in memory for a hundred steps, so that a run
    that was killed and continued would lose both. Settings are not kept here: Hydra writes them beside it.
    """

    def __init__(self, folder: str) -> None:
        super().__init__()
        self._path = Path(folder) / METRICS_FILE
        self._columns: list[str] | None = None

    @property
    def files(self) -> list[Path]:
        """What is written to the disk, for the run's record."""
        return [self._path]

    @property
    def name(self) -> str:
        return self._path.parent.name

    @property
    def version(self) -> str:
        return ""

    @property
    def save_dir(self) -> str:
        return str(self._path.parent)

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

    def log_hyperparams(self, params: dict[str, Any] | Namespace, *_: Any, **__: Any) -> None:
        """Keeps nothing; see the class."""


def columns_of(path: Path) -> list[str]:
    """The names in the first line; none if there is no file."""
    if not path.is_file():
        return []
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file).fieldnames or [])


def read_rows(path: Path) -> list[dict[str, str]]:
    """Every whole row; one that was cut off while it was written is left out."""
    if not path.is_file():
        return []
    with path.open(encoding="utf-8", newline="") as file:
        lines = [line for line in file if line.endswith("\n")]
    return [row for row in csv.DictReader(lines) if None not in row and None not in row.values()]


def write_rows(path: Path, columns: Iterable[str], rows: Iterable[Row]) -> None:
    """The whole file anew, or not at all."""
    with atomic_file(path) as file:
        writer = csv.DictWriter(file, list(columns))
        writer.writeheader()
        writer.writerows(rows)
