from __future__ import annotations

import errno
import zipfile
from pathlib import Path
from typing import Any

import pytest
import torch

from envtune.training import checkpoint_io
from envtune.training.checkpoint_io import AtomicCheckpointIO, damage_of, previous_of, update_of

CUT = "it is cut off, or no checkpoint"
SAVE = torch.save


def save(path: Path, update: int) -> None:
    AtomicCheckpointIO().save_checkpoint({"global_step": update, "state_dict": {"weight": torch.ones(500)}}, path)


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    """The checkpoint of update 2, that of update 1 beside it."""
    for update in (1, 2):
        save(tmp_path / "checkpoints/last.ckpt", update)
    return tmp_path / "checkpoints/last.ckpt"


def test_a_checkpoint_and_the_one_before_it_are_whole_and_nothing_else_is_left(saved: Path):
    save(saved, 3)
    assert sorted(path.name for path in saved.parent.iterdir()) == ["last.ckpt", "last.previous.ckpt"]
    assert (damage_of(saved), damage_of(previous_of(saved))) == (None, None)
    assert (update_of(saved), update_of(previous_of(saved))) == (3, 2)
    assert AtomicCheckpointIO().load_checkpoint(saved, weights_only=True)["state_dict"]["weight"].sum() == 500


def test_on_a_full_disk_both_checkpoints_stay(saved: Path, monkeypatch: pytest.MonkeyPatch):
    def half(checkpoint: Any, file: Any) -> None:
        file.write(b"PK")
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(checkpoint_io.torch, "save", half)
    with pytest.raises(OSError, match="No space left"):
        save(saved, 3)
    assert sorted(path.name for path in saved.parent.iterdir()) == ["last.ckpt", "last.previous.ckpt"]
    assert (update_of(saved), update_of(previous_of(saved))) == (2, 1)


@pytest.mark.parametrize("left", [0.0, 0.01, 0.5, 0.999])
def test_a_cut_file_is_damaged(saved: Path, left: float):
    contents = saved.read_bytes()
    saved.write_bytes(contents[: int(len(contents) * left)])
    assert damage_of(saved) == CUT


def test_a_flipped_bit_of_a_tensor_is_damage(saved: Path):
    contents = bytearray(saved.read_bytes())
    with zipfile.ZipFile(saved) as archive:
        (tensor,) = [entry for entry in archive.infolist() if "/data/" in entry.filename]
    # Somewhere within its 2,000 bytes, behind the entry's header.
    contents[tensor.header_offset + 1000] ^= 1
    saved.write_bytes(contents)
    assert damage_of(saved) == f"the checksum of {tensor.filename} is wrong"


def test_whole_files_of_another_kind_are_no_checkpoints(saved: Path):
    saved.write_bytes(b"\0garbage\0" * 100)
    assert damage_of(saved) == CUT
    SAVE({"weight": torch.ones(3)}, saved)
    assert damage_of(saved) == "it holds no run's state"
    with zipfile.ZipFile(saved, "w") as archive:
        archive.writestr("a", "b")
    assert damage_of(saved) == "it holds no run's state"
