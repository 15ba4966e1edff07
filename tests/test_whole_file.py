from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest
import torch
from full_disk import FULL, files_end_after
from safetensors.torch import save_file

from envtune.files import atomic_file as files
from envtune.files.atomic_file import PARTIAL, WriteError, atomic_file, atomic_folder, opened, write_error


def write(path: Path, lines: int = 1, mode: str = "w", durable: bool = False) -> None:
    """Lines of ten characters."""
    with atomic_file(path, mode, durable) as file:
        for _ in range(lines):
            file.write("123456789\n" if mode == "w" else b"123456789\n")


@pytest.mark.parametrize("room", [0, 1, 8192, 29_999])
@pytest.mark.parametrize("mode", ["w", "wb"])
def test_where_a_file_does_not_fit_the_one_before_it_stays_and_the_sentence_names_it(
    tmp_path: Path, room: int, mode: str
):
    path = tmp_path / "run.json"
    path.write_text("before")
    sentence = rf"^the size limit of files is reached while writing {path}: raise it \(ulimit -f\)$"
    with pytest.raises(WriteError, match=sentence), files_end_after(room):
        write(path, 3000, mode)
    assert [entry.read_text() for entry in tmp_path.iterdir()] == ["before"]


def test_a_full_disk_is_one(tmp_path: Path):
    path = tmp_path / "run.json"
    (tmp_path / f"run.json{PARTIAL}").symlink_to(FULL)
    with pytest.raises(WriteError, match=f"^the disk is full while writing {path}: free some space$") as raised:
        write(path)
    assert isinstance(raised.value.__cause__, OSError)
    assert not list(tmp_path.iterdir())


def test_a_line_that_does_not_fit_an_open_file_is_told_too(tmp_path: Path):
    path = tmp_path / "metrics.csv"
    path.symlink_to(FULL)
    with pytest.raises(WriteError, match=f"^the disk is full while writing {path}: "), opened(path, "a") as file:
        file.write("1,2\n")


def test_what_a_library_makes_of_a_failed_write_is_seen_through(tmp_path: Path):
    def as_torch_does(path: Path) -> None:
        with atomic_file(path, "wb") as file:
            try:
                file.write(bytes(100_000))
            except OSError:
                raise RuntimeError("unexpected pos 405248 vs 405168") from None

    path = tmp_path / "weights"
    sentence = f"^the size limit of files is reached while writing {path}: "
    with pytest.raises(WriteError, match=sentence), files_end_after(10):
        as_torch_does(path)


def test_other_errors_stay_what_they_are(tmp_path: Path):
    with pytest.raises(RuntimeError, match="a mistake of ours"), atomic_file(tmp_path / "file"):
        raise RuntimeError("a mistake of ours")
    with pytest.raises(FileNotFoundError, match="another"), atomic_file(tmp_path / "file"):
        (tmp_path / "another").read_text()
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EIO])
def test_whatever_is_wrong_with_a_disk_ends_in_a_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int):
    def fails(descriptor: int) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(files.os, "fsync", fails)
    with pytest.raises(WriteError, match=rf"^the [a-z -]+ while writing {tmp_path}/run\.json: [a-z ()-]+$"):
        write(tmp_path / "run.json", durable=True)
    assert not list(tmp_path.iterdir())


def test_a_place_that_cannot_be_written_to_is_named(tmp_path: Path):
    (tmp_path / "file").write_text("")
    path = tmp_path / "file/run.json"
    with pytest.raises(WriteError, match=rf"^{path} cannot be written \(File exists\): choose another place$"):
        write(path)
    error = OSError(errno.EACCES, "Permission denied", "a")
    assert str(write_error(error)) == "a cannot be written (Permission denied): choose another place"


def test_a_folder_that_does_not_fit_is_not_made(tmp_path: Path):
    def export(path: Path) -> None:
        with atomic_folder(path) as folder:
            save_file({"weight": torch.ones(1000)}, folder / "model.safetensors")

    path = tmp_path / "exported"
    sentence = f"^the size limit of files is reached while writing {path}: "
    with pytest.raises(WriteError, match=sentence), files_end_after(1000):
        export(path)
    assert not list(tmp_path.iterdir())
    export(path)
    assert [str(entry.relative_to(tmp_path)) for entry in tmp_path.rglob("*.*")] == ["exported/model.safetensors"]
