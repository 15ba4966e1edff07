"""Names of jobs' folders, whom a folder belongs to, and what stays of a job."""

from __future__ import annotations

import errno
import fcntl
import json
import os
from pathlib import Path

import pytest
import yaml

from envtune.command_line.job_folder import Finished, JobFolder, SweepJob, folder_name
from envtune.errors import UserError

JOB = SweepJob("train", ("seed=0",), {"seed": 0, "grpo": {"beta": 0.1}, "ckpt_path": None})


def test_a_folder_is_named_by_what_the_job_is_choices_and_seed_first():
    name = folder_name(["grpo.beta=0.1", "seed=0", "stage='3'", "data.categories=[base, miss_func]"])
    label, _, digest = name.rpartition("_")
    assert label == "seed-0_stage-3_categories-base-miss_func_beta-0.1"
    assert len(digest) == 10
    assert name == folder_name(["stage='3'", "seed=0", "data.categories=[base, miss_func]", "grpo.beta=0.1"])


def test_long_overrides_and_paths_give_one_folder_each_that_a_file_system_takes():
    long = "tags=[" + "ä" * 400
    overrides = [[f"{long}1]"], [f"{long}2]"], ["model.path=/a/b"], ["model.path=/a/c"], ["model.path=../c"], []]
    names = {folder_name(each) for each in overrides}
    assert len(names) == len(overrides)
    assert all(len(name.encode()) <= 255 and "/" not in name and not name.startswith(".") for name in names)


def test_a_job_finds_its_folder_again_and_its_result(tmp_path: Path):
    folder = JobFolder(tmp_path)
    assert not folder.claim(JOB)
    assert folder.claim(JOB)
    assert folder.finished is None
    folder.finish(0.25)
    assert JobFolder(tmp_path).finished == Finished(0.25)


def test_where_a_job_goes_on_and_how_it_is_tagged_make_no_other_job_of_it(tmp_path: Path):
    JobFolder(tmp_path).claim(JOB)
    JobFolder(tmp_path).claim(SweepJob("train", JOB.overrides, JOB.config | {"ckpt_path": "last", "tags": ["again"]}))


@pytest.mark.parametrize(
    ("job", "difference"),
    [
        (SweepJob("train", ("seed=0",), JOB.config | {"grpo": {"beta": 0.2}}), "grpo.beta was 0.1 and is 0.2"),
        (SweepJob("train", ("seed=0",), JOB.config | {"budget": 1}), "budget was not there and is 1"),
        (SweepJob("evaluate", ("seed=0",), JOB.config), "of train, not evaluate"),
    ],
)
def test_the_folder_of_another_job_is_refused_and_stays_as_it_was(tmp_path: Path, job: SweepJob, difference: str):
    folder = JobFolder(tmp_path)
    folder.claim(JOB)
    (tmp_path / ".hydra").mkdir()
    # What Hydra writes before the job begins.
    (tmp_path / ".hydra/config.yaml").write_text(yaml.safe_dump({"seed": 7}))
    (tmp_path / ".hydra/overrides.yaml").write_text(yaml.safe_dump(["seed=7"]))
    with pytest.raises(UserError) as caught:
        folder.claim(job)
    advice = "give another hydra.sweep.dir, or move the folder"
    assert str(caught.value) == f"{tmp_path} belongs to another job ({difference}): {advice}"
    assert yaml.safe_load((tmp_path / ".hydra/config.yaml").read_text()) == JOB.config
    assert yaml.safe_load((tmp_path / ".hydra/overrides.yaml").read_text()) == ["seed=0"]


def test_a_folder_is_worked_in_by_one_process_at_a_time(tmp_path: Path):
    with JobFolder(tmp_path).locked():
        with pytest.raises(UserError) as caught, JobFolder(tmp_path).locked():
            raise AssertionError("two at once")
        assert str(caught.value) == f"another process is at work in {tmp_path}: wait for it, or give another folder"
    with JobFolder(tmp_path).locked():
        pass


def test_a_file_system_without_locks_is_worked_in_with_a_warning(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
):
    def no_locks(*_: object) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "flock", no_locks)
    with JobFolder(tmp_path).locked():
        assert f"{tmp_path} cannot be locked (No locks available): make sure that no other process" in caplog.text


def test_a_job_that_begins_again_has_neither_finished_nor_failed(tmp_path: Path):
    folder = JobFolder(tmp_path)
    folder.finish(None)
    folder.fail("the disk is full")
    assert (folder.finished, folder.failure) == (Finished(None), "the disk is full")
    folder.begin()
    assert (folder.finished, folder.failure) == (None, None)


def test_a_record_is_written_whole_or_not_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    folder = JobFolder(tmp_path)
    folder.finish(0.5)

    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Path, "replace", killed)
    with pytest.raises(KeyboardInterrupt):
        folder.finish(0.75)
    assert json.loads((tmp_path / "finished.json").read_text()) == {"result": 0.5}


@pytest.mark.parametrize("text", ["", "{", "[]", "null", "{}", '{"result": "x"}', '{"result": [1]}', "\0", "[" * 9000])
def test_a_broken_record_is_told_in_a_sentence(tmp_path: Path, text: str):
    for name in ("finished", "failed", "job"):
        (tmp_path / f"{name}.json").write_text(text)
    folder = JobFolder(tmp_path)
    for read in (lambda: folder.finished, lambda: folder.failure, lambda: folder.claim(JOB)):
        with pytest.raises(UserError, match=r"^[^\n]+\.json cannot be used \([^\n]+\): [^\n]+$"):
            read()


def test_a_record_that_cannot_be_opened_is_told_in_a_sentence(tmp_path: Path):
    (tmp_path / "finished.json").mkdir()
    with pytest.raises(UserError, match=r"finished\.json cannot be used \(Is a directory\): delete it"):
        _ = JobFolder(tmp_path).finished


def test_a_folder_that_cannot_be_written_to_is_told_before_anything_is_tried(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    def read_only(path: object, *_: object) -> int:
        raise OSError(errno.EROFS, "Read-only file system", path)

    monkeypatch.setattr(os, "open", read_only)
    with pytest.raises(UserError, match=r"cannot be written to \(.*job\.lock: Read-only file system\): make it"):
        JobFolder(tmp_path).locked().__enter__()


@pytest.mark.parametrize("name", ["train.log", "checkpoints", ".hydra/config.yaml", "stage_1/checkpoints/last.ckpt"])
@pytest.mark.parametrize("there", [True, False])
def test_a_link_out_of_the_folder_is_not_written_through(tmp_path: Path, name: str, there: bool):
    elsewhere, link = tmp_path / "elsewhere", tmp_path / "run" / name
    if there:
        elsewhere.mkdir()
    link.parent.mkdir(parents=True)
    link.symlink_to(elsewhere)
    with pytest.raises(UserError, match=f"{name} is a link out of the run's folder, and the run would write"):
        JobFolder(tmp_path / "run").locked().__enter__()


def test_links_inside_the_folder_and_to_the_folder_are_followed(tmp_path: Path):
    (tmp_path / "disk/run/checkpoints").mkdir(parents=True)
    (tmp_path / "disk/run/newest").symlink_to("checkpoints")
    (tmp_path / "run").symlink_to(tmp_path / "disk/run")
    with JobFolder(tmp_path / "run").locked():
        pass
