"""Checkpoint files: written atomically with a digest, their predecessor kept, damage detected.

For files on a local disk. A strategy that writes folders of shards does not use it; `fsdp_strategy.FSDP2Strategy`
gathers full tensors and does.
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
from lightning import LightningModule
from lightning.pytorch.plugins.io import TorchCheckpointIO
from typing_extensions import override

from envtune.errors import UserError
from envtune.files.atomic_file import atomic_file

log = logging.getLogger(__name__)

CUT = "it is cut off, or no checkpoint"

# torch writes a zip archive without a comment. It ends in a record of 22 bytes, whose last two are the length of the
# comment. We append a comment: the hexadecimal digest of the file without it.
_LAST_RECORD, _SIGNATURE = 22, b"PK\5\6"
_LENGTH = struct.Struct("<H")
_MARK = b"sha256:"
_DIGITS = 2 * hashlib.sha256().digest_size
_CHUNK = 2**22  # bytes


class AtomicCheckpointIO(TorchCheckpointIO):
    """Write checkpoints atomically, as a plugin of the Trainer: ``plugins=[AtomicCheckpointIO()]``.

    The old contents of a file are kept under the name ``previous_of``, so that two files are on the disk, and three
    during a write. The new file is streamed, without a copy in memory.
    """

    @override
    def save_checkpoint(self, checkpoint: dict[str, Any], path: Any, storage_options: Any | None = None) -> None:
        target = Path(path)
        previous = previous_of(target)
        with ThreadPoolExecutor(1) as thread, atomic_file(target, "wb", durable=True, previous=previous) as file:
            digested: Any = _Digested(file, thread)
            torch.save(checkpoint, digested)
            file.seek(-_LENGTH.size, os.SEEK_END)
            file.write(_ending(digested.digest.hexdigest()))

    @override
    def load_checkpoint(self, path: Any, *arguments: Any, **options: Any) -> dict[str, Any]:
        require_intact(Path(path))
        return super().load_checkpoint(path, *arguments, **options)


class _Digested:
    """A file whose contents are digested in a thread while they are written; a digest is as slow as a fast disk."""

    def __init__(self, file: IO[bytes], thread: ThreadPoolExecutor) -> None:
        self._file, self._thread = file, thread
        self.digest = hashlib.sha256()

    def write(self, data: Any) -> int:
        digesting = self._thread.submit(self.digest.update, data)
        try:
            return self._file.write(data)
        finally:
            # torch owns the buffer, and may free it after this call.
            digesting.result()

    def flush(self) -> None:
        self._file.flush()


def previous_of(path: Path) -> Path:
    """Return the path of a checkpoint's previous contents: `last.ckpt` -> `last.previous.ckpt`."""
    return path.with_name(f"{path.stem}.previous{path.suffix}")


def require_intact(path: Path) -> None:
    """Raise UserError for a damaged checkpoint. Reads the whole file."""
    if fault := _fault_of(path):
        raise UserError(f"checkpoint {path} cannot be read ({fault}); give one that a run has saved completely")


def damage_of(path: Path) -> str | None:
    """Return what is wrong with the checkpoint of a run; None if it is intact.

    Reads the whole file, without running code that it might hold.
    """
    fault = _fault_of(path)
    if fault is None:
        try:
            update_of(path)
        except (KeyError, TypeError, ValueError, OverflowError, RuntimeError, pickle.UnpicklingError):
            return "it does not hold the state of a run"
    return fault


def update_of(path: Path) -> int:
    """Return the number of updates of a checkpoint, without reading its tensors."""
    return int(torch.load(path, map_location="cpu", weights_only=True, mmap=True)["global_step"])


def hyperparameters_of(path: str | Path) -> dict[str, Any]:
    """Return the recorded hyperparameters of a checkpoint, without reading its tensors.

    Raises:
        UserError: the file is missing or damaged.
    """
    try:
        checkpoint = torch.load(path, map_location="cpu", weights_only=True, mmap=True)
    except (OSError, RuntimeError, EOFError, pickle.UnpicklingError) as error:
        raise UserError(f"checkpoint {path} cannot be read ({error}); give one that a run has saved") from error
    return dict(checkpoint.get(LightningModule.CHECKPOINT_HYPER_PARAMS_KEY, {}))


def _fault_of(path: Path) -> str | None:
    """Return what is wrong with the bytes of a file, by its digest, or by its CRC-32 if an earlier version wrote it.

    Checksums are not enough, because programs read damaged archives differently: if an entry has the bit of a folder,
    Python verifies its contents, and torch leaves the tensor uninitialised.
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
    log.warning("%s has no digest, because an earlier version wrote it: only its checksums were verified", path)
    return None
