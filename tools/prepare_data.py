"""Write the tasks of a named split as the method's training files: parquet in verl's row format (docs/data.md).

    python tools/prepare_data.py [FOLDER] [--split scenario|paper|seal] [--split-seed N] [--val-size N]

    bfcl_train_base.parquet   base tasks of the training side, short instructions (stages 1 and 2)
    bfcl_train.parquet        the whole training side, long instructions (stages 3 and 4)
    bfcl_val.parquet          tasks drawn from the held-out side, evenly over the categories
    bfcl_test.parquet         the whole held-out side, for tools/evaluate.py; the method's code has no such file

`python train.py data=parquet data.path=FOLDER` trains on such files. Existing files are replaced.
"""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import envtune.process_start

from envtune.bfcl.benchmark import BFCL, package_entries
from envtune.bfcl.category import CATEGORIES, Category
from envtune.bfcl.split import SPLITS
from envtune.bfcl.verl.verl_file import write_rows
from envtune.bfcl.verl.verl_row import to_row
from envtune.chat.prompt import PromptStyle
from envtune.program import run_program
from envtune.task import Split, Task


def main() -> None:
    """Write the four files and print the number of tasks in each."""
    parser = argparse.ArgumentParser(description="Write the tasks of a split as parquet files in verl's row format.")
    parser.add_argument("folder", nargs="?", type=Path, default=Path("data"), help="default: data")
    parser.add_argument("--split", choices=SPLITS, default="scenario", help="as data.split of data=bfcl")
    parser.add_argument("--split-seed", type=int, default=0, help="as data.split_seed of data=bfcl")
    parser.add_argument("--val-size", type=int, default=100, help="as data.val_size of data=bfcl")
    given = parser.parse_args()
    source = BFCL(CATEGORIES, given.split, given.split_seed, given.val_size)
    for path, tasks in write_files(source, given.folder).items():
        counts = Counter(task.group for task in tasks)
        print(f"{path}: {len(tasks)} tasks ({', '.join(f'{name} {count}' for name, count in counts.items())})")


def write_files(source: BFCL, folder: Path) -> dict[Path, tuple[Task, ...]]:
    """Write the four files and return the tasks of each.

    Raises:
        UserError: A file cannot be written, or pyarrow is not installed.
    """
    train, entries = source.tasks(Split.TRAIN), package_entries()
    files = {
        "bfcl_train_base": (Split.TRAIN, tuple(task for task in train if task.group == Category.BASE), "short"),
        "bfcl_train": (Split.TRAIN, train, "long"),
        "bfcl_val": (Split.VAL, source.tasks(Split.VAL), "long"),
        "bfcl_test": (Split.TEST, source.tasks(Split.TEST), "long"),
    }
    written = {}
    for name, (split, tasks, instructions) in files.items():
        path = folder / f"{name}.parquet"
        style = PromptStyle("full", instructions)
        write_rows(path, [row_of(task, entries[task.id], split, style) for task in tasks])
        written[path] = tasks
    return written


def row_of(task: Task, entry: Mapping[str, Any], split: Split, style: PromptStyle) -> dict[str, Any]:
    """Return the row of a task; ``entry`` is its record in the package's files."""
    system_prompt = style.system_prompt(task.tools_offered_at(0))
    return to_row(Category(task.group), entry, split, system_prompt, user_messages(task, style))


def user_messages(task: Task, style: PromptStyle) -> Sequence[str]:
    """Return the user message of each turn, preceded by the documents of tools that are handed over in it."""
    first, *later = (turn.message for turn in task.turns)
    documents = (style.handed_over(task.tools_handed_over_at(index)) for index in range(1, len(task.turns)))
    return [first, *("\n\n".join(filter(None, parts)) for parts in zip(documents, later, strict=True))]


if __name__ == "__main__":
    run_program(main)
