"""What `init_from` may name, and what a person is told about it."""

from __future__ import annotations

from pathlib import Path

import pytest

from envtune.errors import UserError
from envtune.training.run_folder.stage_record import FILE, StageRecord, write_stage_records
from envtune.training.run_folder.starting_point import describe_start, find_checkpoint


def touched(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()
    return path


def test_a_file_is_itself_and_a_folder_of_a_run_its_best_checkpoint(tmp_path: Path):
    last, best = touched(tmp_path / "checkpoints/last.ckpt"), touched(tmp_path / "checkpoints/best.ckpt")
    assert find_checkpoint(str(last)) == last
    assert find_checkpoint(str(tmp_path)) == best


def test_the_folder_of_a_curriculum_is_what_its_last_finished_stage_chose(tmp_path: Path):
    first, second = (
        touched(tmp_path / "stage_1/checkpoints/best.ckpt"),
        touched(tmp_path / "stage_2/checkpoints/last.ckpt"),
    )
    records = [
        StageRecord(str(n), n, n, "over", str(path.relative_to(tmp_path)), 0.5)
        for n, path in enumerate((first, second), start=1)
    ]
    write_stage_records(tmp_path, records)
    assert find_checkpoint(str(tmp_path)) == second
    assert find_checkpoint(str(tmp_path / "stage_1")) == first


def test_the_folder_of_a_model_is_to_be_given_as_a_model(tmp_path: Path):
    touched(tmp_path / "config.json")
    with pytest.raises(UserError, match=f"is a model and not a run: give model=hf model.path={tmp_path}"):
        find_checkpoint(str(tmp_path))


def test_a_missing_checkpoint_is_reported_with_the_existing_ones(tmp_path: Path):
    with pytest.raises(UserError, match=r"init_from=/nowhere does not exist; give a \.ckpt file or the folder"):
        find_checkpoint("/nowhere")
    with pytest.raises(UserError, match=r"holds no checkpoints/best\.ckpt; give the folder of a run that saved one"):
        find_checkpoint(str(tmp_path))
    last = touched(tmp_path / "checkpoints/last.ckpt")
    with pytest.raises(UserError, match=f"give one of its files: {last}"):
        find_checkpoint(str(tmp_path))


@pytest.mark.parametrize(
    "text", ["", "[{", "{}", "[1]", '[{"stage": "1"}]', '[{"stage": 1, "checkpoint": 3}]', "\0", "[" * 9000]
)
def test_a_damaged_record_of_stages_is_a_user_error(tmp_path: Path, text: str):
    (tmp_path / FILE).write_text(text)
    with pytest.raises(
        UserError, match=r"^[^\n]+stages\.json cannot be used \([^\n]+\): restore it from a copy, or give"
    ):
        find_checkpoint(str(tmp_path))


@pytest.mark.parametrize("checkpoint", ["../secret.ckpt", "{outside}/secret.ckpt", "link/secret.ckpt"])
def test_a_record_of_stages_names_no_file_of_another_folder(tmp_path: Path, checkpoint: str):
    folder = tmp_path / "run"
    touched(tmp_path / "secret.ckpt")
    folder.mkdir()
    (folder / "link").symlink_to(tmp_path)
    write_stage_records(folder, [StageRecord("1", 1, 1, "over", checkpoint.format(outside=tmp_path), 0.5)])
    with pytest.raises(UserError, match=r"stages\.json cannot be used \('.*secret\.ckpt' is not in the run's folder\)"):
        find_checkpoint(str(folder))


def test_a_later_stage_reports_a_start_from_the_base_model(tmp_path: Path):
    assert describe_start("3", "models/tiny", None, None, "2") == (
        "stage 3: policy and reference start from the bare model models/tiny (the curriculum would start them from a "
        "checkpoint of stage 2: init_from=…)"
    )
    assert describe_start("1", "models/tiny", None, None, None) == (
        "stage 1: policy and reference start from the bare model models/tiny"
    )


def test_a_stage_reports_the_checkpoints_it_starts_and_resumes_from(tmp_path: Path):
    best = touched(tmp_path / "checkpoints/best.ckpt")
    start = describe_start("3", "models/tiny", str(tmp_path), None, "2")
    assert start == f"stage 3: policy and reference start from {best}"
    going_on = describe_start("3", "models/tiny", str(tmp_path), "last.ckpt", "2")
    assert going_on == f"stage 3: the policy continues from last.ckpt; the reference is {best}"
