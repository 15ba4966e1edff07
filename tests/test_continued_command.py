from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from envtune.continued_command import continued_command, require_free_folder
from envtune.errors import UserError
from envtune.job_folder import JobFolder


@pytest.fixture
def run_folder(tmp_path: Path) -> Path:
    (tmp_path / ".hydra").mkdir()
    text = "- stage='2'\n- +reward.x=1\n- trainer.max_steps=20\n- ckpt_path=last\n"
    (tmp_path / ".hydra/overrides.yaml").write_text(text)
    return tmp_path


def test_a_folder_stands_for_the_command_that_started_the_run_in_it(run_folder: Path):
    assert continued_command([f"ckpt_path={run_folder}"]) == [
        "stage='2'",
        "+reward.x=1",
        "trainer.max_steps=20",
        f"hydra.run.dir='{run_folder}'",
        "ckpt_path=last",
    ]


def test_what_is_given_anew_takes_the_place_of_what_was_given_then(run_folder: Path):
    arguments = continued_command([f"ckpt_path='{run_folder}'", "trainer.max_steps=40", "reward.x=2"])
    assert arguments[:3] == ["stage='2'", "trainer.max_steps=40", "reward.x=2"]


def test_other_commands_are_left_alone(run_folder: Path):
    for arguments in ([], ["stage='3'"], ["ckpt_path=null"], ["ckpt_path=last", "hydra.run.dir=runs/a"]):
        assert continued_command(arguments) == arguments
    assert continued_command(["ckpt_path=somewhere/last.ckpt"]) == ["ckpt_path=somewhere/last.ckpt"]


def test_a_folder_of_no_run_and_the_last_run_of_no_folder_are_told(tmp_path: Path):
    with pytest.raises(UserError, match=r"holds no .hydra/overrides.yaml, so it is not the folder of a run"):
        continued_command([f"ckpt_path={tmp_path}"])
    with pytest.raises(UserError, match=r"ckpt_path=last needs the folder of the run: add hydra.run.dir=runs/NAME"):
        continued_command(["ckpt_path=last"])


def test_a_new_run_does_not_write_over_an_earlier_one(run_folder: Path, tmp_path: Path):
    named = f"hydra.run.dir={run_folder}"
    # Of a run that ended before it had begun there is nothing to lose.
    require_free_folder([named])
    (run_folder / "run.json").write_text("{}")
    with pytest.raises(UserError) as caught:
        require_free_folder([f"hydra.run.dir={tmp_path}/other", "grpo.beta=0", named])
    assert str(caught.value) == (
        f"{run_folder} holds an earlier run, which would be written over: continue it with ckpt_path={run_folder}, or "
        "give another hydra.run.dir"
    )
    with pytest.raises(UserError, match="holds an earlier run"):
        require_free_folder([named, "ckpt_path=elsewhere/checkpoints/last.ckpt"])
    with pytest.raises(UserError, match=r"written over: give another hydra\.run\.dir$"):
        require_free_folder([named], can_go_on=False)
    for start in ("last", f"'{run_folder}/checkpoints/last.ckpt'"):
        require_free_folder([named, f"ckpt_path={start}"])
    require_free_folder(["grpo.beta=0"])


def test_a_folder_at_work_is_found_out_before_anything_is_written_to_it(run_folder: Path):
    with JobFolder(run_folder).locked(), pytest.raises(UserError, match="another process is at work in"):
        require_free_folder([f"hydra.run.dir='{run_folder}'", "ckpt_path=last"])


def test_a_folder_with_files_of_others_is_not_taken_for_a_run(tmp_path: Path):
    (tmp_path / "notes.txt").write_text("mine")
    for start in ("", "ckpt_path=last"):
        with pytest.raises(UserError) as caught:
            require_free_folder([f"hydra.run.dir={tmp_path}", start])
        assert str(caught.value) == (
            f"{tmp_path} is not empty (notes.txt) and is not the folder of a run: give a new one as hydra.run.dir"
        )
    # Not even a lock is left there.
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]


def recorded_run(folder: Path, settings: dict[str, Any]) -> None:
    folder.mkdir(parents=True)
    (folder / "run.json").write_text(json.dumps({"settings": settings}))


def test_the_folder_above_runs_is_not_taken_for_one(tmp_path: Path):
    for name in ("a", "b"):
        recorded_run(tmp_path / name, {"trainer": {}})
    with pytest.raises(UserError, match=r"is not the folder of a run: to continue one of its runs \(a, b\), give"):
        require_free_folder([f"hydra.run.dir={tmp_path}", "ckpt_path=last"])


def test_a_run_that_contains_another_is_refused_and_one_with_its_stages_and_an_evaluation_is_not(tmp_path: Path):
    run = tmp_path / "run"
    recorded_run(run, {"trainer": {}, "curriculum": {"stages": [1, "mine"]}})
    for stage in ("stage_1", "stage_mine"):
        recorded_run(run / stage, {"trainer": {}})
    recorded_run(run / "evaluation", {})
    again = [f"hydra.run.dir={run}", "ckpt_path=last"]
    require_free_folder(again)
    recorded_run(run / "kept/other", {"trainer": {}})
    with pytest.raises(UserError, match=r"contains those of others \(kept/other\): move them out of it"):
        require_free_folder(again)
