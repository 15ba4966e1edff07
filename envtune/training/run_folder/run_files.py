"""The files that a run writes to its folder. run.json lists them, and a rollback changes only these."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Protocol, runtime_checkable

from lightning.pytorch.loggers import TensorBoardLogger

from envtune.errors import UserError
from envtune.files.atomic_file import PARTIAL
from envtune.training.run_folder.checkpoint_names import last_checkpoint_of
from envtune.training.run_folder.run_record import FILE, read_run_record


@runtime_checkable
class WritesFiles(Protocol):
    """A callback or logger whose files are rolled back when a run is resumed from an earlier update."""

    files: list[Path]
    """Their paths; names may contain `*`."""


def files_written_by(folder: Path, parts: Iterable[object]) -> list[str]:
    """Return the files of callbacks and loggers inside the run's ``folder``, relative to it.

    Files elsewhere are left out: they may belong to several runs.
    """
    found, home = set(), folder.resolve()
    for part in parts:
        if isinstance(part, TensorBoardLogger):
            paths = [Path(part.log_dir) / "events.out.tfevents.*"]
        else:
            paths = part.files if isinstance(part, WritesFiles) else []
        resolved = [path.resolve() for path in paths]
        found |= {path.relative_to(home).as_posix() for path in resolved if path.is_relative_to(home)}
    return sorted(found)


def recorded_files(folder: Path) -> Iterator[Path]:
    """Yield the existing files that a run's record lists, and their .partial files from a killed process.

    Yields nothing without a record: a run writes it before any other file. Links and patterns that lead out of the
    folder are skipped, because the record may come from elsewhere.

    Raises:
        UserError: the record is damaged, or does not list files, so that those of the run cannot be identified.
    """
    record = read_run_record(folder, "restore it from a copy, for it lists the files that are the run's own")
    if record is None:
        return
    if "files" not in record:
        raise UserError(
            f"{folder / FILE} does not list the run's files, since an earlier version of envtune wrote it: start a new "
            f"run from its checkpoint with ckpt_path={last_checkpoint_of(folder)}"
        )
    for pattern in record["files"]:
        if pattern and not Path(pattern).is_absolute() and ".." not in Path(pattern).parts and "**" not in pattern:
            for path in sorted(file for suffix in ("", PARTIAL) for file in folder.glob(pattern + suffix)):
                if path.is_file() and path.resolve().is_relative_to(folder.resolve()):
                    yield path
