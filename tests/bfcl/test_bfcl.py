from __future__ import annotations

import json
import shutil
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from envtune.bfcl.benchmark import BFCL, load_bfcl_tasks, package_data
from envtune.bfcl.category import Category
from envtune.bfcl.split import scenario_split
from envtune.errors import UserError
from envtune.task import Split, Task


@pytest.fixture(scope="module")
def tasks() -> dict[str, Task]:
    return {task.id: task for task in load_bfcl_tasks()}


def test_the_package_holds_200_tasks_of_each_category_with_4625_ground_truth_calls(tasks: dict[str, Task]) -> None:
    assert Counter(task.group for task in tasks.values()) == dict.fromkeys(Category, 200)
    assert sum(len(turn.ground_truth) for task in tasks.values() for turn in task.turns) == 4625


def test_turns_without_ground_truth_are_counted_as_measured(tasks: dict[str, Task]) -> None:
    empty = Counter(task.group for task in tasks.values() for turn in task.turns if not turn.ground_truth)
    assert [empty[category] for category in Category] == [3, 203, 203, 3]


def test_withheld_tools_are_handed_over_where_the_message_is_empty(tasks: dict[str, Task]) -> None:
    task = tasks["multi_turn_miss_func_0"]
    handed_over = [turn.new_tools for turn in task.turns]
    assert handed_over == [(), (), (), ("sort",), ()]
    assert [turn.message == "" for turn in task.turns] == [False, False, False, True, False]
    assert "sort" not in {tool.name for tool in task.tools_offered_at(2)}
    assert "sort" in {tool.name for tool in task.tools}
    assert [tool.name for tool in task.tools_handed_over_at(3)] == ["sort"]


def test_no_tool_is_documented_twice_in_a_task(tasks: dict[str, Task]) -> None:
    assert all(len({tool.name for tool in task.tools}) == len(task.tools) for task in tasks.values())


def test_splits_are_the_train_half_of_the_categories_a_balanced_draw_and_all_that_is_held_out() -> None:
    data = BFCL(["base"], val_size=8)
    train, val, test = (data.tasks(split) for split in Split)
    assert len(train) == 100
    assert {task.group for task in train} == {Category.BASE}
    assert set(Counter(task.group for task in val).values()) == {2}
    assert len(test) == 400
    assert {task.id for task in val} < {task.id for task in test} == scenario_split().held_out


def test_describe_names_package_version_split_seed_and_validation_tasks() -> None:
    facts = BFCL(["base"], split="paper", split_seed=3, val_size=4).describe()
    assert facts["package"].startswith("bfcl-eval 20")
    assert (facts["split"], facts["split_seed"], len(facts["validation_tasks"])) == ("paper", 3, 4)
    assert json.loads(json.dumps(facts)) == facts


@pytest.mark.parametrize("categories", [["basis"], [], "base", ["base", "base"]])
def test_unknown_categories_are_told_with_those_that_exist(categories: list[str]) -> None:
    with pytest.raises(UserError, match="base, miss_func, miss_param, long_context"):
        BFCL(categories)


def test_an_unknown_split_is_not_taken_for_the_test_split() -> None:
    with pytest.raises(UserError, match="'dev' is unknown: use one of train, val, test"):
        BFCL(["base"]).tasks("dev")  # type: ignore[arg-type]
    assert len(BFCL(["base"]).tasks("train")) == 100  # type: ignore[arg-type]


def _copy_with(folder: Path, change: Callable[[list[str]], None]) -> str:
    """The base category's files, with the lines of its task file changed."""
    name = "BFCL_v4_multi_turn_base.json"
    (folder / "possible_answer").mkdir()
    shutil.copy(package_data() / "possible_answer" / name, folder / "possible_answer" / name)
    lines = (package_data() / name).read_text(encoding="utf-8").splitlines()
    change(lines)
    (folder / name).write_text("\n".join(lines) + "\n", encoding="utf-8")
    return str(folder)


@pytest.mark.parametrize(
    ("replacement", "fault"),
    [
        ("{not json", "is not JSON"),
        ("", "is empty: remove it"),
        ("[]", "is not a JSON object"),
        ('{"id": "multi_turn_base_2"}', "'involved_classes' is missing or unknown"),
        ('{"id": "multi_turn_base_999"}', "'multi_turn_base_999' is missing or unknown"),
        (
            '{"id": "multi_turn_base_2", "involved_classes": ["Nothing"], "question": [], "initial_config": {}}',
            "'Nothing' is missing or unknown",
        ),
        (
            '{"id": "multi_turn_base_2", "involved_classes": ["MathAPI"], "question": [], "initial_config": {}}',
            "0 user turns do not match",
        ),
    ],
)
def test_a_broken_line_is_told_in_one_sentence_with_file_and_line(tmp_path: Path, replacement: str, fault: str) -> None:
    folder = _copy_with(tmp_path, lambda lines: lines.__setitem__(2, replacement))
    with pytest.raises(UserError, match=rf"BFCL_v4_multi_turn_base\.json, line 3:? .*{fault}") as error:
        load_bfcl_tasks(["base"], data_dir=folder)
    assert "\n" not in str(error.value)


def test_a_missing_task_file_is_told_in_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"cannot be read .*give a JSON-lines file of tasks"):
        load_bfcl_tasks(["base"], data_dir=str(tmp_path))


def test_a_smaller_training_set_is_drawn_evenly_from_the_training_side():
    data = BFCL(["base", "miss_func", "miss_param", "long_context"], max_tasks=75)
    tasks = data.tasks(Split.TRAIN)
    counts = Counter(str(task.group) for task in tasks)
    assert counts == {"base": 19, "miss_func": 19, "miss_param": 19, "long_context": 18}
    assert {task.id for task in tasks} <= scenario_split().train
