"""Compare the settings of a sweep: validation success and progress, over seeds.

    python tools/compare.py runs/sweep_<time> --baseline experiment=direct_grpo

Prints tables and writes compare.md and compare.csv, which has every number in a line of its own, to
MULTIRUN_DIR/comparison, with plots if matplotlib is installed (envtune/evaluation/sweeps/plots.py). A setting is a
run's command line without `seed=`. Notes below the tables define final, best and the intervals.
"""

from __future__ import annotations

import argparse
import itertools
import logging
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import envtune.process_start

from rich.markup import escape
from rich.table import Table

from envtune.errors import UserError
from envtune.evaluation.sweeps import plots
from envtune.evaluation.sweeps.runs import POINTS, Setting, Sweep, groups_of, read_sweep
from envtune.files.atomic_file import WriteError, atomic_file
from envtune.program import run_program
from envtune.report_text import console, csv_text, markdown_table, percent, table
from envtune.statistics.seeds import SeedMean, mean_over_seeds

MEASURES = {"success": "tasks passed", "progress": "turns passed"}
EXPLANATIONS = (
    "±: half of the 95% interval, Student's t over seeds; a single seed has none, and seeds with equal scores get one "
    "without width. It covers the variation of training, not that over tasks.",
    "final: the newest validation. best: that with the highest overall progress after the first update, the earliest "
    "of equals; it is chosen on the tasks that it is measured on, so it is too high.",
)
COLUMNS = ("setting", "measure", "validation", "category", "seeds", "mean", "low", "high")
DIFFERENCES = ("baseline", "paired_seeds", "difference", "difference_low", "difference_high")

Key = tuple[str, str, str, str]
"""Setting, measure, validation (one of `POINTS`) and group of tasks."""
Means = dict[Key, SeedMean]
"""Shares in [0, 1], or differences of them."""


@dataclass(frozen=True, slots=True)
class Grid:
    """The cells of a table, whose first two columns are names."""

    title: str
    header: tuple[str, ...]
    lines: tuple[tuple[str, ...], ...]


def main() -> None:
    """Print the comparison and write its tables and plots."""
    parser = argparse.ArgumentParser(description="Compare the settings of a sweep over seeds.")
    parser.add_argument("sweep", type=Path, metavar="MULTIRUN_DIR", help="the folder of a sweep, runs/sweep_<time>")
    parser.add_argument("--baseline", metavar="NAME", help="the setting for differences, by its name in the table")
    parser.add_argument("--unfinished", action="store_true", help="also runs that have not finished")
    parser.add_argument("--output", type=Path, metavar="FOLDER", help="instead of MULTIRUN_DIR/comparison")
    options = parser.parse_args()
    logging.getLogger("tensorboard").setLevel(logging.ERROR)
    try:
        sweep = read_sweep(options.sweep, options.unfinished)
        baseline = find_baseline(sweep, options.baseline) if options.baseline else None
        if baseline:
            sweep = sweep.beginning_with(baseline)
        folder = options.output or options.sweep / "comparison"
        means, differences = compare(sweep.settings, baseline)
        tables = grids(sweep, means, differences, baseline)
        csv = as_csv(means, differences, baseline.name if baseline else "")
        for name, text in {"compare.md": as_markdown(tables, notes(sweep)), "compare.csv": csv}.items():
            with atomic_file(folder / name) as file:
                file.write(text)
        if find_spec("matplotlib"):
            plots.draw(sweep.settings, folder)
        else:
            print("No plots: they need matplotlib (pip install -c constraints.txt -e '.[plot]').", file=sys.stderr)
    except WriteError as error:
        raise UserError(f"{error}, e.g. with --output") from error
    shown = console()
    shown.print(*map(as_rich, tables), *map(escape, notes(sweep)), sep="\n")
    shown.print(escape(f"written to {folder}: {', '.join(sorted(path.name for path in folder.iterdir()))}"))


def find_baseline(sweep: Sweep, name: str) -> Setting:
    """Return the setting with this name or these overrides.

    Raises:
        UserError: There is no such setting.
    """
    for setting in sweep.settings:
        if name in (setting.name, " ".join(setting.overrides)):
            return setting
    names = ", ".join(setting.name for setting in sweep.settings)
    raise UserError(f"--baseline {name} is not a setting of this sweep; choose one of: {names}")


def compare(settings: Iterable[Setting], baseline: Setting | None) -> tuple[Means, Means]:
    """Return the means over seeds, and their differences to the baseline over the seeds that both settings have."""
    means: Means = {}
    differences: Means = {}
    settings = list(settings)
    groups = groups_of([run for setting in settings for run in setting.runs])
    for measure, setting, point, group in itertools.product(MEASURES, settings, POINTS, groups):
        name, key = f"val/{measure}/{group}", (setting.name, measure, point, group)
        if values := setting.validated(name, point):
            means[key] = mean_over_seeds(list(values.values()))
            others = baseline.validated(name, point) if baseline else {}
            paired = [value - others[seed] for seed, value in values.items() if seed in others]
            if paired and setting is not baseline:
                differences[key] = mean_over_seeds(paired)
    return means, differences


def grids(sweep: Sweep, means: Means, differences: Means, baseline: Setting | None) -> list[Grid]:
    """Return a table for each measure and, with a baseline, a table of differences after it."""
    made = []
    for measure, meaning in MEASURES.items():
        made.append(_grid(sweep, f"{measure}, % of {meaning}", measure, means))
        if baseline:
            title = f"{measure}, percentage points more than {baseline.name} with the same seed"
            made.append(_grid(sweep, title, measure, differences, signed=True))
    return made


def _grid(sweep: Sweep, title: str, measure: str, values: Means, signed: bool = False) -> Grid:
    groups = [group for group in groups_of(sweep.runs) if any(key[1] == measure and key[3] == group for key in values)]
    lines = []
    for setting in sweep.settings:
        for point in POINTS:
            row = [values.get((setting.name, measure, point, group)) for group in groups]
            seeds = max((value.seeds for value in row if value), default=0)
            if seeds:
                updates = [run.update_of(point) for run in setting.runs]
                low, high = min(updates), max(updates)
                span = str(low) if low == high else f"{low} to {high}"
                lines.append((setting.name, point, str(seeds), span, *(_cell(value, signed) for value in row)))
    return Grid(title, ("setting", "validation", "seeds", "update", *groups), tuple(lines))


def _cell(value: SeedMean | None, signed: bool) -> str:
    if value is None:
        return "-"
    mean = percent(value.mean, signed=signed)
    return mean if value.half is None else f"{mean} ± {percent(value.half)}"


def notes(sweep: Sweep) -> list[str]:
    """Return the notes below the tables: definitions, and what limits the comparison."""
    lines = list(EXPLANATIONS)
    if sweep.common:
        lines.append(f"All settings: {' '.join(sweep.common)}.")
    lines += [f"{setting.name}: with {' '.join(setting.unnamed)}." for setting in sweep.settings if setting.unnamed]
    if len({run.final for run in sweep.runs}) > 1:
        lines.append("Not all runs were validated last at the same update: they have not had the same training.")
    if len({run.validation_tasks for run in sweep.runs}) > 1:
        lines.append("Not all runs were validated on the same tasks: their numbers cannot be compared as they stand.")
    lines += [f"Not finished: {run.folder.name}: {run.unfinished}." for run in sweep.runs if run.unfinished]
    return lines + [f"Left out: {reason}." for reason in sweep.left_out]


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


def as_csv(means: Means, differences: Mapping[Key, SeedMean], baseline: str) -> str:
    """Return all numbers as CSV, in unrounded shares; the cell of a missing number is empty."""
    rows = []
    for key, value in means.items():
        compared = [baseline, *_numbers(differences[key])] if key in differences else [None] * len(DIFFERENCES)
        rows.append([*key, *_numbers(value), *compared])
    return csv_text([*COLUMNS, *DIFFERENCES], rows)


def _numbers(value: SeedMean) -> Sequence[float | None]:
    return value.seeds, value.mean, value.low, value.high


if __name__ == "__main__":
    run_program(main)
