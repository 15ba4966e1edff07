"""Compares checkpoints out of distribution: one table of all that tools/ood.py has scored them on.

    python tools/ood_compare.py runs/ood/base runs/ood/stage-{1,2,3,4} runs/ood/stage-{3,4}-no-hints --baseline base

Rows stand as the folders were given. Prints the table and, with a baseline, paired differences to it on the same tasks;
writes comparison.md, comparison.csv and differences.csv. Below the tables stands why rows may not be comparable.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import envtune.process_start

from envtune.errors import UserError
from envtune.evaluation.ood import comparison, table
from envtune.evaluation.ood.record import OODRecord, read_records
from envtune.files.atomic_file import atomic_file
from envtune.program import run_program


def main() -> None:
    """Print the comparison and write its files."""
    options = _options()
    try:
        files = compare(read_checkpoints(options.folders), options.baseline)
        for name, text in files.items():
            with atomic_file(options.output / name) as file:
                file.write(text)
    except OSError as error:
        raise UserError(str(error)) from error
    print(files["comparison.md"] + f"written to {options.output}: {', '.join(files)}")


def read_checkpoints(folders: list[Path]) -> comparison.Checkpoints:
    """Return the records of every folder by the name of its checkpoint.

    Raises:
        UserError: A folder holds no records, or two hold a checkpoint of one name.
    """
    checkpoints: dict[str, list[OODRecord]] = {}
    for folder in folders:
        records = read_records(folder)
        name = records[0].checkpoint
        if name in checkpoints:
            raise UserError(f"{folder} is another folder of checkpoint {name}: give each checkpoint once")
        checkpoints[name] = records
    return checkpoints


def compare(checkpoints: comparison.Checkpoints, baseline: str | None) -> dict[str, str]:
    """Return the text of every file to write, by the name of the file."""
    files = {"comparison.csv": table.as_csv(checkpoints)}
    parts = [table.score_table(checkpoints), table.interval_note()]
    if baseline is not None:
        found = comparison.differences(checkpoints, baseline)
        files["differences.csv"] = comparison.differences_csv(found, baseline)
        parts += [comparison.difference_table(found), comparison.difference_note(baseline)]
    return {"comparison.md": "\n\n".join([*parts, *comparison.warnings(checkpoints)]) + "\n"} | files


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Compares checkpoints out of distribution.")
    parser.add_argument("folders", type=Path, nargs="+", metavar="FOLDER", help="of a checkpoint, as runs/ood/<name>")
    parser.add_argument("--baseline", metavar="NAME", help="the checkpoint to give differences to")
    parser.add_argument(
        "--output",
        type=Path,
        default=Path("runs/ood/comparison"),
        metavar="FOLDER",
        help="default: runs/ood/comparison",
    )
    return parser.parse_args()


if __name__ == "__main__":
    run_program(main)
