"""Checkpoints on the disk: written whole or not at all, the one before is kept, and damage is noticed.

For files on a local disk; a strategy that writes folders of shards does not come by here. `fsdp_strategy.FSDP2Strategy`
gathers whole tensors and does.
"""

from __future__ import annotations

import pickle
import zipfile
import zlib
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch.plugins.io import TorchCheckpointIO

from envtune.whole_file import sync_folder, whole_file


class AtomicCheckpointIO(TorchCheckpointIO):
    """Give it to the Trainer (``plugins=[AtomicCheckpointIO()]``); it then writes every checkpoint.

    A file that is written again keeps its contents under the name ``previous_of``, so that there are two on the disk,
    and three while a new one is being written. The new file is streamed to the disk, without a copy of it in memory.
    """

    def save_checkpoint(self, checkpoint: dict[str, Any], path: Any, storage_options: Any | None = None) -> None:
        target = Path(path)
        target.parent.mkdir(parents=True, exist_ok=True)
        # Its place is taken only by a file that is whole; until then a reader finds at least one of the two names.
        staged = target.with_name(target.name + ".new")
        with whole_file(staged, "wb", durable=True) as file:
            torch.save(checkpoint, file)
        if target.exists():
            target.replace(previous_of(target))
        staged.replace(target)
        sync_folder(target.parent)


def previous_of(path: Path) -> Path:
    """`last.ckpt` -> `last.previous.ckpt`: where the contents before the newest are kept."""
    return path.with_name(f"{path.stem}.previous{path.suffix}")


def damage_of(path: Path) -> str | None:
    """What is wrong with a checkpoint file, in a few words; None if all of it can be read back as it was written.

    torch writes a zip archive: its directory comes last, so that a cut file has none, and it holds a CRC-32 of every
    entry. Reads the whole file; runs nothing that it might hold.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            broken = archive.testzip()
        if broken is None:
            update_of(path)
    except zipfile.BadZipFile:
        return "it is cut off, or no checkpoint"
    except (zlib.error, EOFError, OSError, ValueError, NotImplementedError) as error:
        return str(error).strip().partition("\n")[0] or type(error).__name__
    except (KeyError, TypeError, RuntimeError, pickle.UnpicklingError):
        return "it holds no run's state"
    return f"the checksum of {broken} is wrong" if broken else None


def update_of(path: Path) -> int:
    """How many updates the weights in a checkpoint have received. Does not read the tensors."""
    return int(torch.load(path, map_location="cpu", weights_only=True, mmap=True)["global_step"])
