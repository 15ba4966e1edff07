"""Atomic writes of files and folders; errors are sentences."""

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

# By errno: what is wrong although name and permissions are fine, and what to do.
FAULTS = {
    errno.ENOSPC: ("the disk is full", "free some space"),
    errno.EDQUOT: ("the disk quota is used up", "free some space"),
    errno.EFBIG: ("the size limit of files is reached", "raise it (ulimit -f)"),
    errno.EROFS: ("the file system is read-only", "make it writable"),
    errno.EIO: ("the disk or its server fails", "have it repaired"),
}


class WriteError(UserError):
    """A file cannot be written. The message has its name, the reason and the remedy; ``__cause__`` is the OSError."""


def write_error(error: OSError, path: Path | str | None = None) -> WriteError:
    """Return the error message for ``error`` while writing ``path``, which the OSError itself rarely names."""
    place = path or error.filename
    if error.errno in FAULTS:
        fault, remedy = FAULTS[error.errno]
        return WriteError(f"{fault} while writing {place or 'a file'}: {remedy}")
    return WriteError(f"{place} cannot be written ({error.strerror or error}): choose another place")


@contextmanager
def atomic_file(path: Path, mode: str = "w", durable: bool = False, previous: Path | None = None) -> Iterator[IO[Any]]:
    """Yield a file that replaces ``path`` when the block ends.

    If the block raises, ``path`` is unchanged and nothing is left behind; a killed process leaves ``path``.partial.

    Args:
        path: the file to replace.
        mode: "w" or "wb".
        durable: survive a power cut: fsync contents and name before the block ends.
        previous: keep the old contents of ``path`` under this name.

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
        # On a full disk, half a file would also take the space that the rest of the run needs.
        with suppress(OSError):
            partial.unlink(missing_ok=True)
        raise


@contextmanager
def atomic_folder(path: Path) -> Iterator[Path]:
    """Yield a folder that becomes ``path``, which must be empty or missing, when the block ends.

    If the block raises, nothing is left behind; a killed process leaves a folder named ``path``.….partial.

    Raises:
        WriteError: a file in it cannot be written.
    """
    partial = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        # A unique name, so that no folder of the user is replaced.
        partial = Path(tempfile.mkdtemp(PARTIAL, f"{path.name}.", path.parent))
        partial.chmod(0o755)
        yield partial
        partial.rename(path)
    except BaseException as error:
        if partial:
            shutil.rmtree(partial, ignore_errors=True)
        # safetensors and tokenizers, which are written in Rust, only quote the operating system's error.
        if quoted := re.search(r"\(os error (\d+)\)", str(error)):
            raise write_error(OSError(int(quoted[1]), os.strerror(int(quoted[1]))), path) from error
        if isinstance(error, OSError):
            raise write_error(error, path) from error
        raise


@contextmanager
def opened(path: Path, mode: str, name: Path | None = None) -> Iterator[IO[Any]]:
    """Open ``path`` to write ("w", "wb") or append ("a", "ab"), and make its folder. Errors call it ``name``.

    Raises:
        WriteError: the file cannot be written, even if a library has raised another error for that.
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
        # An error with another file name is not about this file.
        if isinstance(fault, OSError) and (fault.filename is None or Path(fault.filename) in (path, *path.parents)):
            raise write_error(fault, name or path) from fault
        raise


class _Raw(io.FileIO):
    """A file that keeps its first OSError: torch, for example, raises a RuntimeError instead of it."""

    fault: OSError | None = None

    def write(self, data: Any) -> int:
        try:
            return super().write(data)
        except OSError as error:
            self.fault = self.fault or error
            raise


def sync_folder(folder: Path) -> None:
    """Fsync the names in ``folder``, so that a renamed file survives a power cut."""
    if os.name == "nt":  # folders cannot be opened there
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
