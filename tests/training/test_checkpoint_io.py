from __future__ import annotations

import logging
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from full_disk import files_end_after

from envtune.errors import UserError
from envtune.files.atomic_file import WriteError
from envtune.training.model.fsdp_strategy import FSDP2Strategy
from envtune.training.model.weights import read_checkpoint
from envtune.training.resume.continued_run import find_resume_checkpoint
from envtune.training.run_folder.checkpoint_io import AtomicCheckpointIO, damage_of, previous_of, update_of

CUT = "it is cut off, or no checkpoint"
ALTERED = "its digest is wrong"


def save(path: Path, update: int) -> None:
    state = {"global_step": update, "state_dict": {"weight": torch.ones(500)}, "optimizer_states": []}
    AtomicCheckpointIO().save_checkpoint(state, path)


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


@pytest.mark.parametrize("room", [0, 100, 1500, 3500, 3690])
def test_on_a_full_disk_both_checkpoints_stay_and_the_sentence_names_the_file(saved: Path, room: int):
    # The last room is too small for the digest alone.
    assert 3690 < saved.stat().st_size < 3700
    sentence = f"^the size limit of files is reached while writing {saved}: raise it"
    with pytest.raises(WriteError, match=sentence), files_end_after(room):
        save(saved, 3)
    assert sorted(path.name for path in saved.parent.iterdir()) == ["last.ckpt", "last.previous.ckpt"]
    assert (damage_of(saved), damage_of(previous_of(saved))) == (None, None)
    assert (update_of(saved), update_of(previous_of(saved))) == (2, 1)
    save(saved, 3)
    assert (update_of(saved), update_of(previous_of(saved))) == (3, 2)


@pytest.mark.parametrize("left", [0.0, 0.01, 0.5, 0.999])
def test_a_cut_file_is_damaged(saved: Path, left: float):
    contents = saved.read_bytes()
    saved.write_bytes(contents[: int(len(contents) * left)])
    assert damage_of(saved) == CUT


def test_a_flipped_bit_of_a_tensor_is_damage(saved: Path):
    with zipfile.ZipFile(saved) as archive:
        (tensor,) = [entry for entry in archive.infolist() if "/data/" in entry.filename]
    # Somewhere within its 2,000 bytes, behind the entry's header.
    flip(saved, tensor.header_offset + 1000, 1)
    assert damage_of(saved) == ALTERED


def flip(path: Path, place: int, bits: int) -> None:
    contents = bytearray(path.read_bytes())
    contents[place] ^= bits
    path.write_bytes(contents)


def set_directory_bit(path: Path) -> None:
    """Makes the tensor's entry in the archive's directory one of a folder."""
    name = path.read_bytes().rindex(b"archive/data/0")
    # Eight bytes before the name are the external attributes.
    flip(path, name - 8, 0x10)


def test_an_entry_with_the_bit_of_a_folder_is_damage_though_its_checksum_is_right(saved: Path):
    whole = torch.load(saved, weights_only=True)["state_dict"]["weight"]
    set_directory_bit(saved)
    with zipfile.ZipFile(saved) as archive:
        assert archive.testzip() is None
    # What torch makes of it is what was in that memory.
    assert torch.load(saved, weights_only=True)["state_dict"]["weight"].shape == whole.shape
    assert damage_of(saved) == ALTERED


LOADERS: dict[str, Callable[[Path], Any]] = {
    "Lightning": lambda path: AtomicCheckpointIO().load_checkpoint(path, weights_only=True),
    "a sharded policy": lambda path: FSDP2Strategy().load_checkpoint(path),
    "init_from": lambda path: read_checkpoint(str(path)),
    "ckpt_path": lambda path: find_resume_checkpoint(str(path), "folder"),
}


@pytest.mark.parametrize("loader", LOADERS)
def test_every_loader_rejects_a_damaged_checkpoint(saved: Path, loader: str):
    LOADERS[loader](saved)
    set_directory_bit(saved)
    with pytest.raises(UserError, match=rf"^checkpoint {saved} cannot be read \({ALTERED}\); give one that a run has"):
        LOADERS[loader](saved)


@pytest.mark.parametrize("loader", LOADERS)
def test_a_checkpoint_of_an_earlier_version_has_no_digest_and_is_loaded_with_a_warning(
    tmp_path: Path, loader: str, caplog: pytest.LogCaptureFixture
):
    path = tmp_path / "best.ckpt"
    torch.save({"global_step": 1, "state_dict": {"weight": torch.ones(500)}, "optimizer_states": []}, path)
    with caplog.at_level(logging.WARNING, logger="envtune"):
        LOADERS[loader](path)
    assert f"{path} has no digest, because an earlier version wrote it: only its checksums were verified" in caplog.text
    with zipfile.ZipFile(path) as archive:
        flip(path, archive.getinfo("best/data/0").header_offset + 1000, 1)
    assert damage_of(path) == "the checksum of best/data/0 is wrong"


def test_a_digest_that_is_lost_or_damaged_is_not_that_of_an_earlier_version(saved: Path):
    contents = saved.read_bytes()
    for end, damage in ((-1, CUT), (-71, CUT), (-73, CUT)):
        saved.write_bytes(contents[:end])
        assert damage_of(saved) == damage
    saved.write_bytes(contents[:-71] + bytes(71))
    assert damage_of(saved) == CUT
    for place in (-1, -64, -73):
        saved.write_bytes(contents)
        flip(saved, place, 1)
        assert damage_of(saved) == ALTERED


def test_tensors_of_every_kind_come_back(tmp_path: Path):
    weight = torch.randn(4, 4)
    kinds = {"bfloat16": weight.bfloat16(), "none": torch.empty(0), "number": torch.tensor(3.0), "part": weight[1:, 2]}
    state = {"weight": weight, "tied": weight, **kinds}
    AtomicCheckpointIO().save_checkpoint({"global_step": 1, "state_dict": state}, tmp_path / "a.ckpt")
    for read in (LOADERS["Lightning"](tmp_path / "a.ckpt")["state_dict"], LOADERS["init_from"](tmp_path / "a.ckpt")):
        assert read.keys() == state.keys()
        assert all(read[name].dtype == tensor.dtype and read[name].equal(tensor) for name, tensor in state.items())
        assert read["weight"].data_ptr() == read["tied"].data_ptr()


def test_whole_files_of_another_kind_are_no_checkpoints(saved: Path):
    saved.write_bytes(b"\0garbage\0" * 100)
    assert damage_of(saved) == CUT
    torch.save({"weight": torch.ones(3)}, saved)
    assert damage_of(saved) == "it does not hold the state of a run"
    with zipfile.ZipFile(saved, "w") as archive:
        archive.writestr("a", "b")
    assert damage_of(saved) == "it does not hold the state of a run"
