from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import Any

import pytest
import torch
from full_disk import FULL, files_end_after
from safetensors.torch import save_file

from envtune import whole_file as files
from envtune.whole_file import PARTIAL, WriteError, opened, whole_file, whole_folder, write_error


@pytest.mark.parametrize("room", [0, 1, 8192, 29_999])
@pytest.mark.parametrize("mode", ["w", "wb"])
def test_where_a_file_does_not_fit_the_one_before_it_stays_and_the_sentence_names_it(
    tmp_path: Path, room: int, mode: str
):
    path = tmp_path / "run.json"
    path.write_text("before")
    line: Any = "0123456789\n"
    with (
        pytest.raises(WriteError, match=rf"^the size limit of files is reached while writing {path}: raise it \(ul"),
        files_end_after(room),
        whole_file(path, mode) as file,
    ):
        for _ in range(3000):
            file.write(line if mode == "w" else line.encode())
    assert [entry.read_text() for entry in tmp_path.iterdir()] == ["before"]


def test_a_full_disk_is_one(tmp_path: Path):
    path = tmp_path / "run.json"
    (tmp_path / f"run.json{PARTIAL}").symlink_to(FULL)
    with pytest.raises(WriteError, match=rf"^the disk is full while writing {path}: free some space$") as raised:
        with whole_file(path) as file:
            file.write("text")
    assert isinstance(raised.value.__cause__, OSError)
    assert not list(tmp_path.iterdir())
    (tmp_path / "metrics.csv").symlink_to(FULL)
    with pytest.raises(WriteError, match=r"the disk is full while writing .*/metrics\.csv:"):
        with opened(tmp_path / "metrics.csv", "a") as file:
            file.write("1,2\n")


def test_what_a_library_makes_of_a_failed_write_is_seen_through(tmp_path: Path):
    path = tmp_path / "weights"
    with pytest.raises(WriteError, match=f"the size limit of files is reached while writing {path}"):
        with files_end_after(10), whole_file(path, "wb") as file:
            try:
                file.write(bytes(100_000))
            except OSError as error:
                raise RuntimeError("unexpected pos 405248 vs 405168") from error
    with pytest.raises(RuntimeError, match="a mistake of ours"), whole_file(path, "wb") as file:
        raise RuntimeError("a mistake of ours")
    with pytest.raises(FileNotFoundError), whole_file(path, "wb") as file:
        (tmp_path / "another file").read_text()


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EIO])
def test_whatever_is_wrong_with_a_disk_ends_in_a_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
):
    def fails(descriptor: int) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(files.os, "fsync", fails)
    with pytest.raises(WriteError, match=rf" while writing {tmp_path}/run\.json: [a-z (-]+\)?$"):
        with whole_file(tmp_path / "run.json", durable=True) as file:
            file.write("text")
    assert not list(tmp_path.iterdir())


def test_a_place_that_cannot_be_written_to_is_named(tmp_path: Path):
    (tmp_path / "file").write_text("")
    path = tmp_path / "file/run.json"
    with pytest.raises(WriteError, match=rf"{path} cannot be written \(File exists\): make that possible, or give"):
        with whole_file(path):
            pass
    assert str(write_error(OSError(errno.EACCES, "Permission denied", "a"))).startswith("a cannot be written (Perm")


def test_a_folder_that_does_not_fit_is_not_made(tmp_path: Path):
    tensors = {"weight": torch.ones(1000)}
    path = tmp_path / "exported"
    with pytest.raises(WriteError, match=f"the size limit of files is reached while writing {path}"):
        with files_end_after(1000), whole_folder(path) as folder:
            save_file(tensors, folder / "model.safetensors")
    assert not list(tmp_path.iterdir())
    with whole_folder(path) as folder:
        save_file(tensors, folder / "model.safetensors")
    assert [str(entry.relative_to(tmp_path)) for entry in tmp_path.rglob("*.*")] == ["exported/model.safetensors"]
