from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pyarrow.parquet
import pytest

from envtune.bfcl.benchmark import BFCL
from envtune.bfcl.category import CATEGORIES
from envtune.bfcl.verl.parquet import ParquetTasks
from envtune.chat.prompt import PromptStyle
from envtune.task import Split

ROOT = Path(__file__).parents[2]


def _run(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "tools/prepare_data.py", *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("prepared") / "new" / "folder"
    done = _run(str(folder), "--split", "paper", "--split-seed", "3", "--val-size", "8")
    assert (done.returncode, done.stderr) == (0, "")
    assert f"{folder}/bfcl_val.parquet: 8 tasks (base 2, miss_func 2, miss_param 2, long_context 2)" in done.stdout
    return folder


@pytest.fixture(scope="module")
def source() -> BFCL:
    return BFCL(CATEGORIES, split="paper", split_seed=3, val_size=8)


def _rows(path: Path) -> list[dict[str, Any]]:
    return pyarrow.parquet.read_table(path).to_pylist()


def test_the_files_give_the_tasks_of_the_split_that_was_named(folder: Path, source: BFCL) -> None:
    files = ParquetTasks(str(folder))
    for split in Split:
        assert files.tasks(split) == source.tasks(split)
    base = ParquetTasks(str(folder), train_file="bfcl_train_base.parquet").tasks(Split.TRAIN)
    assert base == ParquetTasks(str(folder), categories=["base"]).tasks(Split.TRAIN)
    assert len(base) == 100


@pytest.mark.parametrize(("name", "instructions"), [("train_base", "short"), ("train", "long"), ("val", "long")])
def test_a_prompt_is_what_an_episode_begins_with_in_the_stages_of_the_file(
    folder: Path, source: BFCL, name: str, instructions: str
) -> None:
    tasks = {task.id: task for split in Split for task in source.tasks(split)}
    for row in _rows(folder / f"bfcl_{name}.parquet"):
        task = tasks[row["extra_info"]["original_id"]]
        system, user = row["prompt"]
        assert system["content"] == PromptStyle("full", instructions).system_prompt(task.tools_offered_at(0))
        assert user["content"] == task.turns[0].message


def test_later_messages_hand_over_the_documents_of_withheld_tools(folder: Path, source: BFCL) -> None:
    tasks = {task.id: task for task in source.tasks(Split.TRAIN)}
    handed_over = 0
    for row in _rows(folder / "bfcl_train.parquet"):
        kwargs = row["extra_info"]["interaction_kwargs"]
        for turn, message in zip(tasks[kwargs["id"]].turns[1:], kwargs["processed_question"], strict=True):
            assert message.endswith(turn.message)
            assert all(f'{{"name": "{tool}", ' in message for tool in turn.new_tools)
            assert bool(turn.new_tools) == message.startswith("New tools:\n")
            handed_over += bool(turn.new_tools)
    assert handed_over == 100  # one turn of each miss_func task


def test_mistakes_end_in_one_sentence_and_leave_no_files(tmp_path: Path) -> None:
    done = _run(str(tmp_path / "data"), "--val-size", "500")
    assert done.returncode == 1
    assert done.stderr == (
        "prepare_data: data.val_size=500 asks for 125 tasks of base: choose so that it is 0 to 100\n"
    )
    assert not (tmp_path / "data").exists()
