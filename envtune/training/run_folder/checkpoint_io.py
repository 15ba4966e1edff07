"""Checkpoints on the disk: written whole or not at all, the one before is kept, and damage is noticed.

For files on a local disk; a strategy that writes folders of shards does not come by here. `fsdp_strategy.FSDP2Strategy`
gathers whole tensors and does.
"""

from __future__ import annotations

import hashlib
import logging
import os
import pickle
import struct
import zipfile
import zlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import IO, Any

import torch
from lightning.pytorch.plugins.io import TorchCheckpointIO

from envtune.errors import UserError
from envtune.files.atomic_file import atomic_file

log = logging.getLogger(__name__)

CUT = "it is cut off, or no checkpoint"

# torch writes a zip archive, without a comment. That ends in a record of 22 bytes, the last two of which are the length
# of a comment. Here a comment follows: the digest of the file without it, in hexadecimal digits.
_LAST_RECORD, _SIGNATURE = 22, b"PK\5\6"
_LENGTH = struct.Struct("<H")
_MARK = b"sha256:"
_DIGITS = 2 * hashlib.sha256().digest_size
_CHUNK = 2**22  # bytes


class AtomicCheckpointIO(TorchCheckpointIO):
    """Give it to the Trainer (``plugins=[AtomicCheckpointIO()]``); it then writes every checkpoint.

    A file that is written again keeps its contents under the name ``previous_of``, so that there are two on the disk,
    and three while a new one is being written. The new file is streamed to the disk, without a copy of it in memory.
    """

    def save_checkpoint(self, checkpoint: dict[str, Any], path: Any, storage_options: Any | None = None) -> None:
        """Raises WriteError, and leaves both files as they were, where the new one cannot be written."""
        target = Path(path)
        previous = previous_of(target)
        with ThreadPoolExecutor(1) as thread, atomic_file(target, "wb", durable=True, previous=previous) as file:
            digested: Any = _Digested(file, thread)
            torch.save(checkpoint, digested)
            file.seek(-_LENGTH.size, os.SEEK_END)
            file.write(_ending(digested.digest.hexdigest()))

    def load_checkpoint(self, path: Any, *arguments: Any, **options: Any) -> dict[str, Any]:
        """Raises UserError for a file that is not what was saved."""
        require_whole(Path(path))
        return super().load_checkpoint(path, *arguments, **options)


class _Digested:
    """Passes on what is written to ``file``, and digests it meanwhile: that takes as long as a fast disk."""

    def __init__(self, file: IO[bytes], thread: ThreadPoolExecutor) -> None:
        self._file, self._thread = file, thread
        self.digest = hashlib.sha256()

    def write(self, data: Any) -> int:
        digesting = self._thread.submit(self.digest.update, data)
        try:
            return self._file.write(data)
        finally:
            # The data is torch's, and there only until this call returns.
            digesting.result()

    def flush(self) -> None:
        self._file.flush()


def previous_of(path: Path) -> Path:
    """`last.ckpt` -> `last.previous.ckpt`: where the contents before the newest are kept."""
    return path.with_name(f"{path.stem}.previous{path.suffix}")


def require_whole(path: Path) -> None:
    """Reads the whole file, so that nothing else than what was saved is loaded from it.

    Raises:
        UserError: it was damaged since.
    """
    if fault := _fault_of(path):
        raise UserError(f"checkpoint {path} cannot be read ({fault}); give one that a run has saved completely")


def damage_of(path: Path) -> str | None:
    """What is wrong with the checkpoint of a run, in a few words; None if all of it can be read back as it was written.

    Reads the whole file; runs nothing that it might hold.
    """
    fault = _fault_of(path)
    if fault is None:
        try:
            update_of(path)
        except (KeyError, TypeError, ValueError, OverflowError, RuntimeError, pickle.UnpicklingError):
            return "it holds no run's state"
    return fault


def update_of(path: Path) -> int:
    """How many updates the weights in a checkpoint have received. Does not read the tensors."""
    return int(torch.load(path, map_location="cpu", weights_only=True, mmap=True)["global_step"])


def _fault_of(path: Path) -> str | None:
    """What is wrong with the bytes of a checkpoint file, by its digest or, where an earlier version wrote none, by the
    CRC-32 of every entry.

    Checksums are not enough, for programs read damaged archives differently: of an entry that has the bit of a folder,
    Python verifies the contents, and torch leaves the tensor as its memory was.
    """
    try:
        with path.open("rb") as file:
            end = max(0, file.seek(0, os.SEEK_END) - len(_ending("")))
            file.seek(end)
            ending = file.read()
            last = ending[-_LAST_RECORD:]
            if last.startswith(_SIGNATURE) and last.endswith(_LENGTH.pack(0)):
                return _checksum_fault_of(path)
            if not ending[_LENGTH.size :].startswith(_MARK):
                return CUT
            file.seek(0)
            digest = hashlib.sha256()
            while chunk := file.read(min(_CHUNK, end - file.tell())):
                digest.update(chunk)
    except OSError as error:
        return str(error)
    digest.update(_LENGTH.pack(0))
    return None if ending == _ending(digest.hexdigest()) else "its digest is wrong"


def _ending(digest: str) -> bytes:
    comment = _MARK + digest.encode().ljust(_DIGITS)
    return _LENGTH.pack(len(comment)) + comment


def _checksum_fault_of(path: Path) -> str | None:
    try:
        with zipfile.ZipFile(path) as archive:
            broken = archive.testzip()
    except zipfile.BadZipFile:
        return CUT
    except (zlib.error, EOFError, OSError, ValueError, RuntimeError) as error:
        return str(error).strip().partition("\n")[0] or type(error).__name__
    if broken:
        return f"the checksum of {broken} is wrong"
    log.warning("%s has no digest, as none of an earlier version has: only its checksums were verified", path)
    return None
