from __future__ import annotations

from pathlib import Path

import pytest

from envtune.continued_command import continued_command
from envtune.errors import UserError


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
