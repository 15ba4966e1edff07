"""Compares the settings of a sweep: validation success and progress, over seeds.

    python tools/compare.py runs/sweep_<time> --baseline experiment=direct_grpo

Prints tables and writes them to compare.md and, all numbers one a line, to compare.csv in MULTIRUN_DIR/comparison; with
matplotlib there are plots beside them (envtune/evaluation/sweeps/plots.py). A setting is a run's command line without
`seed=`. Notes under the tables explain final, best and the intervals.
"""

from __future__ import annotations

import argparse
import csv
import io
import logging
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import envtune.process_start

from rich.markup import escape
from rich.table import Table

from envtune.errors import UserError
from envtune.evaluation.sweeps import plots
from envtune.evaluation.sweeps.runs import Run, Setting, Sweep, read_sweep
from envtune.files.atomic_file import WriteError, atomic_file
from envtune.program import run_program
from envtune.report_text import console, markdown_table, percent, table
from envtune.statistics.seeds import SeedMean, mean_over_seeds
from envtune.task import Category

MEASURES = {"success": "tasks passed", "progress": "turns passed"}
POINTS = ("final", "best")
GROUPS = ("overall", *(str(category) for category in Category))
EXPLANATIONS = (
    "±: half of the 95% interval, Student's t over seeds; a single seed has none, and seeds that score alike get one "
    "without width. It says how far training varies, not how far other tasks would.",
    "final: the newest validation. best: that with the highest overall progress after the first update, the earliest "
    "of equals; it is picked on the tasks that it is measured on, so it is too high.",
)
COLUMNS = ("setting", "measure", "validation", "category", "seeds", "mean", "low", "high")
DIFFERENCES = ("baseline", "paired_seeds", "difference", "difference_low", "difference_high")


@dataclass(frozen=True, slots=True)
class Row:
    """One number of a setting: a share in [0, 1]."""

    setting: str
    measure: str
    point: str
    group: str
    value: SeedMean
    difference: SeedMean | None
    """Difference to the baseline over the seeds that both have; None without any."""


@dataclass(frozen=True, slots=True)
class Grid:
    """The cells of a table, whose first two columns are names."""

    title: str
    header: tuple[str, ...]
    lines: tuple[tuple[str, ...], ...]


def main() -> None:
    """Print the comparison and write its tables and plots."""
    options = _options()
    logging.getLogger("tensorboard").setLevel(logging.ERROR)
    try:
        sweep = read_sweep(options.sweep, options.unfinished)
        baseline = find_baseline(sweep, options.baseline) if options.baseline else None
        if baseline:
            sweep = sweep.beginning_with(baseline)
        folder = options.output or options.sweep / "comparison"
        grids = _write_tables(sweep, baseline, folder)
        if find_spec("matplotlib"):
            plots.draw(sweep.settings, folder)
        else:
            print("No plots: they need matplotlib (pip install -c constraints.txt -e '.[plot]').", file=sys.stderr)
    except WriteError as error:
        raise UserError(f"{error}, e.g. with --output") from error
    shown = console()
    shown.print(*map(as_rich, grids), *map(escape, notes(sweep)), sep="\n")
    shown.print(escape(f"written to {folder}: {', '.join(sorted(path.name for path in folder.iterdir()))}"))


def find_baseline(sweep: Sweep, name: str) -> Setting:
    """Return the setting with this name or these overrides.

    Raises:
        UserError: There is none.
    """
    for setting in sweep.settings:
        if name in (setting.name, " ".join(setting.overrides)):
            return setting
    names = ", ".join(setting.name for setting in sweep.settings)
    raise UserError(f"--baseline {name} is no setting of this sweep; choose one of: {names}")


def compare(settings: Iterable[Setting], baseline: Setting | None) -> list[Row]:
    """Return a row for every measure, validation and category of every setting that was validated on it."""
    rows = []
    for measure in MEASURES:
        for setting in settings:
            for point in POINTS:
                for group in GROUPS:
                    values = _by_seed(setting, measure, point, group)
                    if values:
                        others = _by_seed(baseline, measure, point, group) if baseline else {}
                        difference = None if setting is baseline else paired_difference(values, others)
                        mean = mean_over_seeds(list(values.values()))
                        rows.append(Row(setting.name, measure, point, group, mean, difference))
    return rows


def paired_difference(values: dict[int, float], others: dict[int, float]) -> SeedMean | None:
    """Return the mean of ``values`` minus ``others``, paired by seed; None if they have no seed in common."""
    differences = [value - others[seed] for seed, value in values.items() if seed in others]
    return mean_over_seeds(differences) if differences else None


def _by_seed(setting: Setting, measure: str, point: str, group: str) -> dict[int, float]:
    name = f"val/{measure}/{group}"
    found = {run.seed: run.scalars.get(name, {}).get(_update(run, point)) for run in setting.runs}
    return {seed: value for seed, value in found.items() if value is not None}


def _update(run: Run, point: str) -> int:
    return run.final if point == "final" else run.best


def grids(sweep: Sweep, rows: Sequence[Row], baseline: Setting | None) -> list[Grid]:
    """Return a table for each measure and, with a baseline, a table of differences after it."""
    made = []
    for measure, meaning in MEASURES.items():
        title = f"{measure}, % of {meaning}"
        made.append(_grid(sweep, title, measure, {_key(row): row.value for row in rows}))
        if baseline:
            title = f"{measure}, percentage points more than {baseline.name} with the same seed"
            differences = {_key(row): row.difference for row in rows if row.difference}
            made.append(_grid(sweep, title, measure, differences, signed=True))
    return made


def _key(row: Row) -> tuple[str, str, str, str]:
    return row.setting, row.measure, row.point, row.group


def _grid(
    sweep: Sweep, title: str, measure: str, values: dict[tuple[str, str, str, str], SeedMean], signed: bool = False
) -> Grid:
    groups = [group for group in GROUPS if any(key[1] == measure and key[3] == group for key in values)]
    lines = []
    for setting in sweep.settings:
        for point in POINTS:
            found = [values.get((setting.name, measure, point, group)) for group in groups]
            seeds = max((value.seeds for value in found if value), default=0)
            if seeds:
                updates = _range([_update(run, point) for run in setting.runs])
                cells = (_cell(value, signed) for value in found)
                lines.append((setting.name, point, str(seeds), updates, *cells))
    return Grid(title, ("setting", "validation", "seeds", "update", *groups), tuple(lines))


def _cell(value: SeedMean | None, signed: bool) -> str:
    if value is None:
        return "-"
    mean = percent(value.mean, signed=signed)
    return mean if value.half is None else f"{mean} ± {percent(value.half)}"


def _range(numbers: Sequence[int]) -> str:
    low, high = min(numbers), max(numbers)
    return str(low) if low == high else f"{low} to {high}"


def notes(sweep: Sweep) -> list[str]:
    """Return the notes under the tables: definitions, and what limits the comparison."""
    found = list(EXPLANATIONS)
    if sweep.common:
        found.append(f"All settings: {' '.join(sweep.common)}.")
    found += [f"{setting.name}: with {' '.join(setting.unnamed)}." for setting in sweep.settings if setting.unnamed]
    if len({run.final for run in sweep.runs}) > 1:
        found.append("Not all runs were validated last at the same update: they have not had the same training.")
    if len({run.validation_tasks for run in sweep.runs}) > 1:
        found.append("Not all runs were validated on the same tasks: their numbers cannot be compared as they stand.")
    found += [f"Not finished: {run.folder.name}: {run.unfinished}." for run in sweep.runs if run.unfinished]
    return found + [f"Left out: {reason}." for reason in sweep.left_out]


def _write_tables(sweep: Sweep, baseline: Setting | None, folder: Path) -> list[Grid]:
    rows = compare(sweep.settings, baseline)
    tables = grids(sweep, rows, baseline)
    csv_text = as_csv(rows, baseline.name if baseline else "")
    for name, text in {"compare.md": as_markdown(tables, notes(sweep)), "compare.csv": csv_text}.items():
        with atomic_file(folder / name) as file:
            file.write(text)
    return tables


def as_rich(grid: Grid) -> Table:
    """Return the table for the terminal."""
    shown = table(escape(grid.title), grid.header[:2], grid.header[2:])
    for line in grid.lines:
        shown.add_row(*map(escape, line))
    return shown


def as_markdown(tables: Iterable[Grid], remarks: Iterable[str]) -> str:
    """Return the tables with their titles, then the notes, as Markdown."""
    parts = [f"## {grid.title}\n\n{markdown_table(grid.header, grid.lines, texts=2)}" for grid in tables]
    return "\n\n".join([*parts, *remarks]) + "\n"


def as_csv(rows: Iterable[Row], baseline: str) -> str:
    """Return all numbers as CSV: shares, not rounded; a cell without a number is empty."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([*COLUMNS, *DIFFERENCES])
    for row in rows:
        value, difference = row.value, row.difference
        numbers = (value.seeds, value.mean, value.low, value.high)
        compared = (baseline, difference.seeds, difference.mean, difference.low, difference.high) if difference else ()
        writer.writerow([row.setting, row.measure, row.point, row.group, *numbers, *(compared or [None] * 5)])
    return text.getvalue()


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Compares the settings of a sweep over seeds.")
    parser.add_argument("sweep", type=Path, metavar="MULTIRUN_DIR", help="the folder of a sweep, runs/sweep_<time>")
    parser.add_argument("--baseline", metavar="NAME", help="the setting to give differences to, as the table names it")
    parser.add_argument("--unfinished", action="store_true", help="also runs that have not finished")
    parser.add_argument("--output", type=Path, metavar="FOLDER", help="instead of MULTIRUN_DIR/comparison")
    return parser.parse_args()


if __name__ == "__main__":
    run_program(main)
