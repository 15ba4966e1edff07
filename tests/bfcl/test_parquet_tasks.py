from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow
import pyarrow.parquet
import pytest

from envtune.bfcl.benchmark import load_bfcl_tasks, package_entries
from envtune.bfcl.category import Category
from envtune.bfcl.verl.parquet import ParquetTasks
from envtune.bfcl.verl.verl_file import ParquetFileError, read_extra_info, write_rows
from envtune.bfcl.verl.verl_row import to_row
from envtune.errors import UserError
from envtune.files.atomic_file import WriteError
from envtune.task import Split, Task

TRAINED = ("multi_turn_long_context_1", "multi_turn_base_1", "multi_turn_base_3", "multi_turn_miss_func_3")
HELD_OUT = ("multi_turn_base_2", "multi_turn_miss_param_4")
ENTRIES = package_entries()


def _row(name: str) -> dict[str, Any]:
    messages = ["" for _ in ENTRIES[name]["question"]]
    category = Category(name.removeprefix("multi_turn_").rpartition("_")[0])
    return to_row(category, ENTRIES[name], Split.TRAIN, "system", messages)


def _packaged(names: Sequence[str]) -> tuple[Task, ...]:
    tasks = {task.id: task for task in load_bfcl_tasks()}
    return tuple(tasks[name] for name in names)


def _ids(tasks: Sequence[Task]) -> list[str]:
    return [task.id for task in tasks]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_rows(tmp_path / "bfcl_train.parquet", [_row(name) for name in TRAINED])
    for name in ("val", "test"):
        write_rows(tmp_path / f"bfcl_{name}.parquet", [_row(name) for name in HELD_OUT])
    return tmp_path


def _write_ids(path: Path, names: Sequence[str | None]) -> None:
    """As another program may write them: ids and messages, with types that pyarrow infers."""
    prompt = [{"role": "user", "content": "…"}]
    rows = [{"prompt": prompt, "extra_info": {"original_id": name, "index": 0}} for name in names]
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist(rows), path)


def test_what_is_written_is_read_back_as_the_same_tasks_in_the_order_of_the_file(folder: Path) -> None:
    source = ParquetTasks(str(folder))
    assert source.tasks(Split.TRAIN) == _packaged(TRAINED)
    assert source.tasks(Split.VAL) == source.tasks(Split.TEST) == _packaged(HELD_OUT)


def test_rows_have_the_types_of_verls_format(folder: Path) -> None:
    schema = pyarrow.parquet.read_schema(folder / "bfcl_train.parquet")
    assert schema.names == ["data_source", "prompt", "ability", "reward_model", "extra_info"]
    kwargs = schema.field("extra_info").type.field("interaction_kwargs").type
    assert str(kwargs.field("ground_truth").type) == "list<element: list<element: string>>"
    assert str(kwargs.field("initial_config").type) == "string"


def test_what_a_row_says_of_a_task_wins_over_the_package_unless_contents_is_package(folder: Path) -> None:
    row = _row(TRAINED[0])
    row["extra_info"]["interaction_kwargs"]["question"][0][0] = {"role": "user", "content": "something else"}
    write_rows(folder / "bfcl_train.parquet", [row])
    assert ParquetTasks(str(folder)).tasks(Split.TRAIN)[0].turns[0].message == "something else"
    assert ParquetTasks(str(folder), contents="package").tasks(Split.TRAIN) == _packaged(TRAINED[:1])


def test_a_file_with_ids_only_gives_the_packages_tasks_when_contents_is_package(folder: Path) -> None:
    _write_ids(folder / "bfcl_train.parquet", TRAINED)
    assert ParquetTasks(str(folder), contents="package").tasks(Split.TRAIN) == _packaged(TRAINED)
    with pytest.raises(
        ParquetFileError, match=r"row 1: interaction_kwargs is missing .*; data\.contents=package takes"
    ):
        ParquetTasks(str(folder)).tasks(Split.TRAIN)


def test_categories_and_sizes_choose_among_the_rows_of_a_file(folder: Path) -> None:
    assert _ids(ParquetTasks(str(folder), categories=["base"]).tasks(Split.TRAIN)) == [TRAINED[1], TRAINED[2]]
    drawn = ParquetTasks(str(folder), categories=["base", "miss_func"], max_tasks=2).tasks(Split.TRAIN)
    assert [task.group for task in drawn] == [Category.BASE, Category.MISS_FUNC]
    held_out = ParquetTasks(str(folder), val_categories=["miss_param"])
    assert _ids(held_out.tasks(Split.VAL)) == [HELD_OUT[1]]
    assert _ids(held_out.tasks(Split.TEST)) == list(HELD_OUT)
    assert _ids(ParquetTasks(str(folder), val_categories=["base"], val_size=1).tasks(Split.VAL)) == [HELD_OUT[0]]
    with pytest.raises(UserError, match=r"data\.val_size=4 asks for 1 tasks of miss_func: choose so that it is 0 to 0"):
        ParquetTasks(str(folder), val_size=4).tasks(Split.VAL)


def test_describe_names_the_package_the_files_contents_and_the_tasks(folder: Path) -> None:
    facts = ParquetTasks(str(folder)).describe()
    assert facts["package"].startswith("bfcl-eval 20")
    assert facts["training_tasks"] == list(TRAINED)
    assert facts["validation_tasks"] == list(HELD_OUT)
    assert list(facts["sha256"]) == ["bfcl_train.parquet", "bfcl_val.parquet"]
    content = (folder / "bfcl_val.parquet").read_bytes()
    assert facts["sha256"]["bfcl_val.parquet"] == hashlib.sha256(content).hexdigest()
    assert json.loads(json.dumps(facts)) == facts


@pytest.mark.parametrize("split", [Split.VAL, Split.TEST])
def test_a_task_that_is_trained_on_cannot_be_held_out_too(folder: Path, split: Split) -> None:
    write_rows(folder / f"bfcl_{split}.parquet", [_row(HELD_OUT[0]), _row(TRAINED[1])])
    with pytest.raises(UserError, match=rf"1 tasks of .*bfcl_{split}\.parquet, the first of them {TRAINED[1]}, are in"):
        ParquetTasks(str(folder)).tasks(split)


@pytest.mark.parametrize(
    ("names", "fault"),
    [
        ([*TRAINED, "multi_turn_base_200"], "row 5: original_id 'multi_turn_base_200' is not a multi-turn task of the"),
        ([*TRAINED, TRAINED[1]], rf"row 5: {TRAINED[1]} stands in row 2 too; leave one of them out"),
        ([TRAINED[0], None], "row 2: original_id is missing or is not a text"),
    ],
)
def test_a_row_that_names_no_task_or_one_again_is_told_with_its_number(
    folder: Path, names: list[str | None], fault: str
) -> None:
    _write_ids(folder / "bfcl_train.parquet", names)
    with pytest.raises(ParquetFileError, match=rf"bfcl_train\.parquet, {fault}"):
        ParquetTasks(str(folder), contents="package").tasks(Split.TRAIN)


def test_files_that_are_missing_or_no_parquet_or_lack_the_column_are_told_in_one_sentence(folder: Path) -> None:
    path = folder / "bfcl_train.parquet"
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ParquetFileError, match=r"bfcl_train\.parquet cannot be read as parquet: ") as error:
        read_extra_info(path)
    assert "\n" not in str(error.value)
    for rows in ([{"prompt": "a", "id": 1}], [{"prompt": "a", "id": 1, "extra_info": "{}"}]):
        pyarrow.parquet.write_table(pyarrow.Table.from_pylist(rows), path)
        with pytest.raises(ParquetFileError, match=r"has no struct column extra_info.*its columns are prompt, id"):
            read_extra_info(path)
    path.unlink()
    with pytest.raises(ParquetFileError, match=r"does not exist: write it with tools/prepare_data\.py"):
        read_extra_info(path)


def test_a_file_that_cannot_be_written_is_told_in_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(WriteError, match=r"file/bfcl\.parquet cannot be written \("):
        write_rows(tmp_path / "file" / "bfcl.parquet", [])


def test_without_pyarrow_the_extra_is_named(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(UserError, match=r"need pyarrow, which comes with pip install .* -e '\.\[parquet\]'"):
        read_extra_info(folder / "bfcl_train.parquet")


def test_unknown_contents_and_splits_are_told_with_those_that_exist(folder: Path) -> None:
    with pytest.raises(UserError, match="contents='ids' must be one of row, package"):
        ParquetTasks(str(folder), contents="ids")
    with pytest.raises(UserError, match="'dev' is unknown: use one of train, val, test"):
        ParquetTasks(str(folder)).tasks("dev")  # type: ignore[arg-type]
