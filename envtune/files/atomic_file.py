"""Files and folders that are written whole or not at all, whatever interrupts the program; errors are sentences."""

from __future__ import annotations

import errno
import io
import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any

from envtune.errors import UserError

PARTIAL = ".partial"

# By errno, what is wrong where name and rights are in order, and what to do.
FAULTS = {
    errno.ENOSPC: ("the disk is full", "free some space"),
    errno.EDQUOT: ("the disk quota is used up", "free some space"),
    errno.EFBIG: ("the size limit of files is reached", "raise it (ulimit -f)"),
    errno.EROFS: ("the file system is read-only", "make it writable"),
    errno.EIO: ("the disk or its server fails", "have it repaired"),
}


class WriteError(UserError):
    """A file cannot be written: says which, why and what to do. Its cause is the operating system's error."""


def write_error(error: OSError, path: Path | str | None = None) -> WriteError:
    """The sentence for ``error``, which rarely names the file that was written, ``path``."""
    place = path or error.filename
    if error.errno in FAULTS:
        fault, remedy = FAULTS[error.errno]
        return WriteError(f"{fault} while writing {place or 'a file'}: {remedy}")
    return WriteError(f"{place} cannot be written ({error.strerror or error}): choose another place")


@contextmanager
def atomic_file(path: Path, mode: str = "w", durable: bool = False, previous: Path | None = None) -> Iterator[IO[Any]]:
    """A file to write to that takes the place of ``path`` when the block ends; until then ``path`` is as it was.

    If the block raises, ``path`` stays and nothing is left behind; after a kill, a file named ``path``.partial is.
    ``durable`` also survives a power cut: contents and name are on the disk when the block has ended. What was at
    ``path`` is kept as ``previous`` where that is given.

    Raises:
        WriteError: the file cannot be written.
    """
    partial = path.with_name(path.name + PARTIAL)
    try:
        with opened(partial, mode, path) as file:
            yield file
            if durable:
                file.flush()
                os.fsync(file.fileno())
        try:
            if previous and path.exists():
                path.replace(previous)
            partial.replace(path)
            if durable:
                sync_folder(path.parent)
        except OSError as error:
            raise write_error(error, path) from error
    except BaseException:
        # On a full disk half a file would also take the room that the rest of the run needs.
        with suppress(OSError):
            partial.unlink(missing_ok=True)
        raise


@contextmanager
def atomic_folder(path: Path) -> Iterator[Path]:
    """A new folder to write to that becomes ``path``, which is empty or not there, when the block ends.

    If the block raises, nothing is left behind; after a kill, a folder named ``path``.….partial is.

    Raises:
        WriteError: something in it cannot be written.
    """
    partial = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        # Under a name that nothing has: a folder of the user's is not to be replaced.
        partial = Path(tempfile.mkdtemp(PARTIAL, f"{path.name}.", path.parent))
        partial.chmod(0o755)
        yield partial
        partial.rename(path)
    except BaseException as error:
        if partial:
            shutil.rmtree(partial, ignore_errors=True)
        if fault := _system_error(error):
            raise write_error(fault, path) from error
        raise


def _system_error(error: BaseException) -> OSError | None:
    """The operating system's error. safetensors and tokenizers, which are written in Rust, only quote it."""
    quoted = re.search(r"\(os error (\d+)\)", str(error))
    if quoted:
        return OSError(int(quoted[1]), os.strerror(int(quoted[1])))
    return error if isinstance(error, OSError) else None


@contextmanager
def opened(path: Path, mode: str, name: Path | None = None) -> Iterator[IO[Any]]:
    """The file ``path``, open to be written ("w", "wb") or appended to ("a", "ab"). Errors call it ``name``.

    Makes its folder.

    Raises:
        WriteError: it cannot be written, also where a library has made another error of that.
    """
    raw = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        raw = _Raw(str(path), mode[0])
        binary = io.BufferedWriter(raw)
        with binary if "b" in mode else io.TextIOWrapper(binary, encoding="utf-8", newline="") as file:
            yield file
    except Exception as error:
        fault = raw.fault if raw and raw.fault else error
        # One with another name is not of this file.
        if isinstance(fault, OSError) and (fault.filename is None or Path(fault.filename) in (path, *path.parents)):
            raise write_error(fault, name or path) from fault
        raise


class _Raw(io.FileIO):
    """Keeps its first error: torch, for one, raises a RuntimeError of its own in place of it."""

    fault: OSError | None = None

    def write(self, data: Any) -> int:
        try:
            return super().write(data)
        except OSError as error:
            self.fault = self.fault or error
            raise


def sync_folder(folder: Path) -> None:
    """Puts the names in ``folder`` on the disk: a renamed file is only then safe from a power cut."""
    if os.name == "nt":  # folders cannot be opened there
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
