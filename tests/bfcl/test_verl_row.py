from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from envtune.bfcl.benchmark import load_bfcl_tasks, package_entries
from envtune.bfcl.category import Category
from envtune.bfcl.verl.verl_row import id_of_row, task_of_row, to_row
from envtune.task import Split, Task

WITHHOLDING = "multi_turn_miss_func_0"  # `sort` is handed over in turn 3 of 5


@pytest.fixture(scope="module")
def packaged() -> Task:
    return next(task for task in load_bfcl_tasks(["miss_func"]) if task.id == WITHHOLDING)


@pytest.fixture
def row() -> dict[str, Any]:
    messages = ["first", "second", "third", "new tools", "last"]
    return to_row(Category.MISS_FUNC, package_entries()[WITHHOLDING], Split.TRAIN, "system", messages)


def test_a_row_has_the_fields_that_the_method_names(row: dict[str, Any]) -> None:
    assert row["data_source"] == "multi_turn_miss_func"
    assert row["prompt"] == [{"role": "system", "content": "system"}, {"role": "user", "content": "first"}]
    assert row["ability"] == "multi_turn_function_calling"
    assert row["reward_model"]["style"] == "interaction"
    extra = row["extra_info"]
    kwargs = extra.pop("interaction_kwargs")
    assert extra == {
        "split": "train",
        "index": WITHHOLDING,
        "original_id": WITHHOLDING,
        "dataset_type": "multi_turn_miss_func",
    }
    assert (kwargs["name"], kwargs["id"]) == ("multi_turn_tool_call", WITHHOLDING)
    assert kwargs["involved_classes"] == ["TwitterAPI", "GorillaFileSystem"]
    assert json.loads(kwargs["initial_config"])["TwitterAPI"]["tweet_counter"] == 3
    assert kwargs["processed_question"] == ["second", "third", "new tools", "last"]
    assert kwargs["question"][3] == []
    assert [len(calls) for calls in kwargs["ground_truth"]] == [3, 2, 0, 1, 4]
    assert kwargs["ground_truth"][3] == ["sort('final_report.pdf')"]
    assert row["reward_model"]["ground_truth"] == kwargs["ground_truth"]


def test_a_row_gives_back_the_task_with_the_tools_that_only_the_package_knows_to_be_withheld(
    row: dict[str, Any], packaged: Task
) -> None:
    assert id_of_row(row["extra_info"]) == packaged.id
    task = task_of_row(row["extra_info"], packaged)
    assert task == packaged
    assert task.turns[3].new_tools == ("sort",)


def test_messages_worlds_and_ground_truth_are_those_of_the_row(row: dict[str, Any], packaged: Task) -> None:
    kwargs = row["extra_info"]["interaction_kwargs"]
    kwargs["question"] = [[{"role": "user", "content": f"turn {index}"}] for index in range(5)]
    kwargs["ground_truth"] = [["pwd()"], [], [], [], []]
    kwargs["initial_config"] = '{"TwitterAPI": {"tweet_counter": 7}}'
    task = task_of_row(row["extra_info"], packaged)
    assert [turn.message for turn in task.turns] == ["turn 0", "turn 1", "turn 2", "turn 3", "turn 4"]
    assert [[call.name for call in turn.ground_truth] for turn in task.turns] == [["pwd"], [], [], [], []]
    assert task.world.initial_state == {"TwitterAPI": {"tweet_counter": 7}}


def _set(name: str, value: Any) -> Callable[[dict[str, Any]], None]:
    return lambda kwargs: kwargs.__setitem__(name, value)


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        (lambda kwargs: kwargs.pop("question"), "question is missing or is not a list of turns"),
        (_set("question", ["first", "second"]), "question is not a list of turns, each a list of messages"),
        (_set("question", [[{"role": "user"}]] * 5), "'content' is missing or unknown"),
        (_set("question", [[]]), "1 user turns do not match 5 turns of ground truth"),
        (_set("ground_truth", None), "ground_truth is missing or is not a list of turns"),
        (_set("ground_truth", ["pwd()"] * 5), "ground_truth is not a list of turns, each a list of call strings"),
        (_set("ground_truth", [["pwd"]] * 5), "'pwd' is not the call of one tool by its name"),
        (_set("ground_truth", [["make_transaction()"]] * 5), "calls make_transaction, which the task's classes do not"),
        (_set("ground_truth", [["mv(source='a', to='b')"]] * 5), "mv with source, to, and this bfcl-eval asks for"),
        (_set("ground_truth", [["mv(source='a')"]] * 5), "mv with source, and this bfcl-eval asks for source, dest"),
        (_set("ground_truth", [["pwd(to='b')"]] * 5), "calls pwd with to, and this bfcl-eval asks for none"),
        (_set("involved_classes", "MathAPI"), "involved_classes is missing or is not a list"),
        (_set("involved_classes", ["Nothing"]), "'Nothing' is missing or unknown"),
        (_set("involved_classes", ["MathAPI"]), "turn 3 cannot hand over sort"),
        (_set("initial_config", {"TwitterAPI": {}}), "initial_config is missing or is not a JSON object as text"),
        (_set("initial_config", "[]"), "initial_config is not a JSON object as text"),
        (_set("initial_config", "{"), "initial_config is not valid JSON"),
    ],
)
def test_a_field_that_is_missing_or_of_another_shape_is_named(
    row: dict[str, Any], packaged: Task, change: Callable[[dict[str, Any]], None], fault: str
) -> None:
    change(row["extra_info"]["interaction_kwargs"])
    with pytest.raises(ValueError, match=fault) as error:
        task_of_row(row["extra_info"], packaged)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("extra_info", [None, {}, {"original_id": 3}])
def test_a_row_without_an_id_is_told(extra_info: dict[str, Any] | None) -> None:
    with pytest.raises(ValueError, match="original_id is missing or is not a text"):
        id_of_row(extra_info)
