"""Files that are written whole or not at all, whatever interrupts the program."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

PARTIAL = ".partial"


@contextmanager
def whole_file(path: Path, mode: str = "w", durable: bool = False) -> Iterator[IO[Any]]:
    """A file to write to that takes the place of ``path`` when the block ends; until then ``path`` is as it was.

    If the block raises, ``path`` stays and nothing is left behind; after a kill, a file named ``path``.partial is.
    ``durable`` also survives a power cut: contents and name are on the disk when the block has ended.
    """
    partial = path.with_name(path.name + PARTIAL)
    text: dict[str, Any] = {} if "b" in mode else {"encoding": "utf-8", "newline": ""}
    try:
        with partial.open(mode, **text) as file:
            yield file
            if durable:
                file.flush()
                os.fsync(file.fileno())
        partial.replace(path)
    except BaseException:
        # On a full disk half a file would also take the room that the rest of the run needs.
        partial.unlink(missing_ok=True)
        raise
    if durable:
        sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Puts the names in ``folder`` on the disk: a renamed file is only then safe from a power cut."""
    if os.name == "nt":  # folders cannot be opened there
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
