"""Shows a recorded episode in the terminal.

    python tools/show_trajectory.py runs/… --list
    python tools/show_trajectory.py runs/…/trajectories/val/update_000010.jsonl --task multi_turn_base_3
    python tools/show_trajectory.py runs/… --worst

PATH is a file of trajectories or the folder of a training or evaluation run; of a folder, its newest file is read.
Without an option the first episode is shown.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import envtune.process_start

from rich.console import Console
from rich.markdown import Markdown
from rich.markup import escape
from rich.table import Table

from envtune import trajectory_file
from envtune.errors import UserError
from envtune.program import run_program
from envtune.trajectory import Trajectory
from envtune.trajectory_text import as_markdown

# Width of the text where it goes to a file or a pipe.
WIDTH = 160
# What a model writes must not steer the terminal: every control character but line feed and tab.
CONTROL = {code: "\N{REPLACEMENT CHARACTER}" for code in (*range(32), *range(127, 160)) if chr(code) not in "\n\t"}


@dataclass(frozen=True, slots=True)
class Record:
    """One line of the file, by its ``index`` from 0. ``reward`` is None where none was given (validation)."""

    index: int
    trajectory: Trajectory
    reward: float | None
    parts: Mapping[str, float]

    @property
    def rank(self) -> tuple[float, float, bool]:
        progress = self.trajectory.progress
        return progress if self.reward is None else self.reward, progress, self.trajectory.success

    @property
    def headline(self) -> str:
        if self.reward is None:
            return ""
        parts = ", ".join(f"{name} {value:.3f}" for name, value in self.parts.items())
        return f"reward {self.reward:.3f} ({parts})"


def main() -> int:
    """0 if something was shown; 1, and a sentence on stderr, if not."""
    options = _options()
    console = Console() if sys.stdout.isatty() else Console(width=WIDTH)
    try:
        path = newest_file(options.path)
        records = of_task(read_records(path), options.task, path)
        if options.list:
            console.print(listing(records, str(path)))
        else:
            record = choose(records, options.index, options.best, options.worst)
            text = as_markdown(record.trajectory, record.headline)
            console.print(Markdown(text.translate(CONTROL)))
    except UserError as error:
        print(f"show_trajectory: {error}", file=sys.stderr)
        return 1
    return 0


def newest_file(path: Path) -> Path:
    """``path`` itself, or the file of trajectories in that run folder which was written last.

    Raises:
        UserError: it is a folder without trajectories, or nothing at all.
    """
    if not path.is_dir():
        return path
    files = [*path.glob("*.jsonl"), *trajectory_files(path)]
    if not files:
        raise UserError(f"{path} holds no trajectories: give a run's folder or one of its .jsonl files")
    return max(files, key=lambda file: (file.stat().st_mtime_ns, str(file)))


def trajectory_files(folder: Path) -> list[Path]:
    """Those that a training run wrote, a curriculum those of all its stages; none for another folder."""
    stages = sorted(folder.glob("stage_*"))
    return [file for place in (folder, *stages) for file in sorted(place.glob("trajectories/**/*.jsonl"))]


def read_records(path: Path) -> list[Record]:
    """All records of the file.

    Raises:
        UserError: it cannot be read, is empty, or has a line that is no trajectory; names the line.
    """
    records = []
    for index, line in enumerate(trajectory_file.read(path)):
        try:
            records.append(_record(index, line))
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            reason = f"{error} is missing" if isinstance(error, KeyError) else error
            raise UserError(f"{path}, line {index + 1} is no trajectory ({reason}): was it edited?") from error
    if not records:
        raise UserError(f"{path} is empty: give a file with at least one trajectory")
    return records


def of_task(records: Sequence[Record], task: str | None, path: Path) -> list[Record]:
    """The records of one task, or all of them; a UserError if the task has none."""
    found = [record for record in records if task in (None, record.trajectory.task_id)]
    if not found:
        raise UserError(f"{path} has no episode of task {task}: --list shows which there are")
    return found


def choose(records: Sequence[Record], index: int | None, best: bool, worst: bool) -> Record:
    """By the number that the list shows, or by reward (progress where there is none); else the first."""
    if best or worst:
        return (max if best else min)(records, key=lambda record: record.rank)
    if index is None:
        return records[0]
    for record in records:
        if record.index == index:
            return record
    raise UserError(f"index {index} is not among the {len(records)} episodes: --list shows which there are")


def listing(records: Sequence[Record], title: str) -> Table:
    """One row per record."""
    table = Table(title=escape(title))
    for column in ("index", "task", "reward", "success", "progress", "steps", "end"):
        table.add_column(column, justify="left" if column in ("task", "end") else "right")
    for record in records:
        trajectory = record.trajectory
        table.add_row(
            str(record.index),
            escape(trajectory.task_id.translate(CONTROL)),
            "-" if record.reward is None else f"{record.reward:.3f}",
            "yes" if trajectory.success else "no",
            f"{trajectory.turns_passed}/{trajectory.turn_count}",
            str(len(trajectory.steps)),
            str(trajectory.end),
        )
    return table


def _record(index: int, line: Mapping[str, Any]) -> Record:
    reward = line.get("reward")
    parts = {name: float(part["value"]) for name, part in reward["parts"].items()} if reward else {}
    return Record(index, trajectory_file.from_json(line), float(reward["total"]) if reward else None, parts)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Shows a recorded episode in the terminal.")
    parser.add_argument("path", type=Path, help="a .jsonl file of trajectories, or a run's folder: its newest file")
    parser.add_argument("--task", metavar="ID", help="only episodes of this task")
    which = parser.add_mutually_exclusive_group()
    which.add_argument("--index", metavar="N", type=int, help="the episode with this number in the list")
    which.add_argument("--best", action="store_true", help="the episode with the highest reward (else progress)")
    which.add_argument("--worst", action="store_true", help="the episode with the lowest reward (else progress)")
    which.add_argument("--list", action="store_true", help="a table of the episodes")
    return parser.parse_args()


if __name__ == "__main__":
    run_program(main)
