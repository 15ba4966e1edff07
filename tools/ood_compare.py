"""Compare checkpoints out of distribution on all benchmarks that tools/ood.py has scored.

    python tools/ood_compare.py runs/ood/base runs/ood/stage-{1,2,3,4} runs/ood/stage-{3,4}-no-hints --baseline base

Prints a table with a row per folder, in the given order, and with a baseline the paired differences to it on the same
tasks; writes comparison.md, comparison.csv and differences.csv. Warnings below the tables list rows that are not
comparable.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import envtune.process_start

from envtune.errors import UserError
from envtune.evaluation.ood import table
from envtune.evaluation.ood.record import OODRecord, read_records
from envtune.files.atomic_file import atomic_file
from envtune.program import run_program


def main() -> None:
    """Print the comparison and write its files."""
    parser = argparse.ArgumentParser(description="Compare checkpoints out of distribution.")
    parser.add_argument("folders", type=Path, nargs="+", metavar="FOLDER", help="of a checkpoint, runs/ood/<name>")
    parser.add_argument("--baseline", metavar="NAME", help="the checkpoint to compare the others with")
    default = Path("runs/ood/comparison")
    parser.add_argument("--output", type=Path, default=default, metavar="FOLDER", help=f"default: {default}")
    options = parser.parse_args()
    try:
        files = compare(read_checkpoints(options.folders), options.baseline)
        for name, text in files.items():
            with atomic_file(options.output / name) as file:
                file.write(text)
    except OSError as error:
        raise UserError(str(error)) from error
    print(files["comparison.md"] + f"written to {options.output}: {', '.join(files)}")


def read_checkpoints(folders: list[Path]) -> table.Checkpoints:
    """Return the records of every folder by the name of its checkpoint.

    Raises:
        UserError: A folder has no records, or two folders have one checkpoint.
    """
    checkpoints: dict[str, list[OODRecord]] = {}
    for folder in folders:
        records = read_records(folder)
        name = records[0].checkpoint
        if name in checkpoints:
            raise UserError(f"{folder} is another folder of checkpoint {name}: give each checkpoint once")
        checkpoints[name] = records
    return checkpoints


def compare(checkpoints: table.Checkpoints, baseline: str | None) -> dict[str, str]:
    """Return the text of every file to write by its name."""
    files = {"comparison.csv": table.as_csv(checkpoints)}
    parts = [table.score_table(checkpoints), table.interval_note()]
    if baseline is not None:
        found = table.differences(checkpoints, baseline)
        files["differences.csv"] = table.differences_csv(found, baseline)
        parts += [table.difference_table(found), table.difference_note(baseline)]
    return {"comparison.md": "\n\n".join([*parts, *table.warnings(checkpoints)]) + "\n"} | files


if __name__ == "__main__":
    run_program(main)
