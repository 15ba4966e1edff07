"""Initial states from outside: what a reader lets through can be played."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from shutil import copytree
from typing import Any

import pytest

from envtune.bfcl.benchmark import load_bfcl_tasks, package_data, package_entries
from envtune.bfcl.category import Category
from envtune.bfcl.environment import BFCL_ENVIRONMENT
from envtune.bfcl.verl.parquet import ParquetTasks
from envtune.bfcl.verl.verl_file import ParquetFileError, write_rows
from envtune.bfcl.verl.verl_row import task_of_row, to_row
from envtune.chat.protocol import parse, write_answer, write_calls
from envtune.environment.augmentation.actionable import Actionable
from envtune.environment.episode import Episode
from envtune.errors import UserError
from envtune.task import Split, Task

FILES, CARS, TRADES, TRIPS = (f"multi_turn_base_{number}" for number in (0, 56, 100, 152))
TASKS = {task.id: task for task in load_bfcl_tasks(["base"])}
ENTRIES = package_entries()
FOLDER = {"type": "directory", "contents": {}}


def nested(depth: int) -> Any:
    return json.loads("[" * depth + "]" * depth)


REFUSED = [
    (FILES, "GorillaFileSystem", None),
    (FILES, "GorillaFileSystem", 1),
    (FILES, "GorillaFileSystem", [1]),
    (FILES, "GorillaFileSystem", {"root": 1}),
    (FILES, "GorillaFileSystem", {"root": {}}),
    (FILES, "GorillaFileSystem", {"root": {"a": {"type": "directory"}}}),
    (FILES, "GorillaFileSystem", {"root": {"a": {"type": "directory", "contents": {"b": None}}}}),
    (FILES, "GorillaFileSystem", {"root": {"a": {"type": "directory", "contents": {"b": {"type": "file"}}}}}),
    (TRADES, "TradingBot", "text"),
    (TRADES, "TradingBot", True),
    (TRIPS, "TravelAPI", 1.5),
    (TRADES, "TradingBot", {"stocks": 1, "orders": "none"}),
    (CARS, "VehicleControlAPI", {"doorStatus": 1}),
    (CARS, "VehicleControlAPI", {"destination": nested(900)}),
]
PLAYED = [
    (FILES, "GorillaFileSystem", {}),
    (FILES, "GorillaFileSystem", {"root": {"a": FOLDER | {"type": "neither"}}}),
    (FILES, "GorillaFileSystem", {"root": {"": FOLDER, "..": FOLDER, "/": FOLDER}}),
    (FILES, "GorillaFileSystem", {"root": {"a": FOLDER | {"contents": {"b": {"type": "file", "content": 5}}}}}),
    (TRADES, "TradingBot", {"stocks": {}, "orders": {}, "account_info": None}),
    (TRADES, "TradingBot", {"watch_list": {"": {"": {}}}, "transaction_history": 0}),
    (TRIPS, "TravelAPI", {"credit_card_list": [1], "booking_record": "x", "budget_limit": "much"}),
    (TRIPS, "TravelAPI", {"random_seed": None, "access_token": {"a": 1}}),
    (CARS, "VehicleControlAPI", {"fuelLevel": "full", "doorStatus": {}, "destination": nested(90)}),
    (CARS, "VehicleControlAPI", []),
    (CARS, "VehicleControlAPI", {"": 1, "_random": 2, "startEngine": 3}),
]


def edited(name: str, toolbox: str, state: Any) -> dict[str, Any]:
    """The row of a task with another initial state."""
    entry = ENTRIES[name]
    entry = entry | {"initial_config": entry["initial_config"] | {toolbox: state}}
    return to_row(Category.BASE, entry, Split.TRAIN, "system", ["" for _ in entry["question"]])


def play(task: Task) -> None:
    """Its ground truth, every other tool that it has without arguments, and hints."""
    episode = Episode(
        BFCL_ENVIRONMENT, task, parse, Actionable().for_episode(BFCL_ENVIRONMENT, task, 0), step_limit=1000
    )
    episode.reset()
    for turn in task.turns:
        for call in turn.ground_truth:
            episode.step(write_calls("I call.", [call]))
        for tool in task.tools:
            episode.step(f'<think>?</think><tool_call>[{{"name": "{tool.name}", "arguments": {{}}}}]</tool_call>')
        episode.step(write_answer("Done.", "Done."))
    assert len(episode.finish().turns) == len(task.turns)


@pytest.mark.parametrize(("name", "toolbox", "state"), REFUSED)
def test_a_row_whose_world_cannot_be_opened_is_refused_with_class_and_fault(name: str, toolbox: str, state: Any):
    with pytest.raises(ValueError, match=f"^the initial state of {toolbox} cannot be loaded \\(") as error:
        task_of_row(edited(name, toolbox, state)["extra_info"], TASKS[name])
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(("name", "toolbox", "state"), PLAYED)
def test_a_row_whose_world_can_be_opened_can_be_played(name: str, toolbox: str, state: Mapping[str, Any]):
    play(task_of_row(edited(name, toolbox, state)["extra_info"], TASKS[name]))


def test_a_file_is_refused_with_the_number_of_the_row(tmp_path: Path):
    rows = [edited(FILES, "GorillaFileSystem", {}), edited(TRADES, "TradingBot", None)]
    write_rows(tmp_path / "bfcl_train.parquet", rows)
    with pytest.raises(ParquetFileError, match=r"bfcl_train\.parquet, row 2: the initial state of TradingBot cannot"):
        ParquetTasks(str(tmp_path)).tasks(Split.TRAIN)


def test_a_task_file_of_the_users_is_refused_with_the_number_of_the_line(tmp_path: Path):
    copytree(package_data(), tmp_path, dirs_exist_ok=True, ignore=lambda *_: ["memory_prereq_conversation"])
    path = tmp_path / "BFCL_v4_multi_turn_base.json"
    lines = path.read_text(encoding="utf-8").splitlines()
    lines[1] = json.dumps(json.loads(lines[1]) | {"initial_config": {"GorillaFileSystem": {"root": 1}}})
    path.write_text("\n".join(lines), encoding="utf-8")
    with pytest.raises(UserError, match=r"base\.json, line 2: the initial state of GorillaFileSystem cannot be"):
        load_bfcl_tasks(["base"], data_dir=str(tmp_path))
