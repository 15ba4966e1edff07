"""Trajectories as the official program reads them: every turn, step and call, and nothing that did not run."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from envtune.bfcl.benchmark import load_bfcl_tasks
from envtune.bfcl.category import Category
from envtune.bfcl.environment import BFCL_ENVIRONMENT
from envtune.bfcl.official.result_files import check_name, result_entry, write_results
from envtune.chat.protocol import parse, write_answer, write_calls
from envtune.environment.augmentation.none import NoAugmentation
from envtune.environment.episode import AtStepLimit, Episode
from envtune.errors import UserError
from envtune.task import Task, ToolCall
from envtune.trajectory import Trajectory

DONE = write_answer("I am done.", "Done.")
TASKS = {task.id: task for task in load_bfcl_tasks(["base", "miss_func"])}


def played(task: Task, *completions: str, step_limit: int = 5, at_step_limit: AtStepLimit = "end") -> Trajectory:
    """The episode in which the agent says these, and after them answers until the end."""
    episode = Episode(BFCL_ENVIRONMENT, task, parse, NoAugmentation(), step_limit, at_step_limit)
    done = episode.reset().done
    for completion in completions:
        done = episode.step(completion).done
    while not done:
        done = episode.step(DONE).done
    return episode.finish()


def calls(*made: tuple[str, dict[str, Any]]) -> str:
    return write_calls("I act.", [ToolCall(name, arguments) for name, arguments in made])


def exported(task: Task, *completions: str, step_limit: int = 5) -> list[Any]:
    return result_entry(played(task, *completions, step_limit=step_limit), task)["result"]


def test_a_step_is_a_list_of_calls_or_what_the_agent_said_instead() -> None:
    task = TASKS["multi_turn_base_0"]  # four turns
    first = exported(task, calls(("cd", {"folder": "document"}), ("ls", {"a": True})), "no tags", DONE)
    assert first[0] == [[{"cd": '{"folder": "document"}'}, {"ls": '{"a": true}'}], "no tags", DONE]
    assert first[1:] == [[DONE], [DONE], [DONE]]


def test_a_call_that_was_turned_down_is_written_as_one_that_does_nothing() -> None:
    task = TASKS["multi_turn_base_0"]
    turned_down = [
        ("os.system", {"command": "true"}),
        ("print", {}),
        ("cd", {"folder=exit() or '": 1}),
        ("echo", {"content": "x" * 40_000}),
    ]
    (first, _), *_ = exported(task, calls(*turned_down, ("pwd", {})))
    assert first == [{"not_run": "{}"}] * 4 + [{"pwd": "{}"}]


def test_a_withheld_tool_is_written_as_called_only_from_the_turn_that_hands_it_over() -> None:
    task = TASKS["multi_turn_miss_func_0"]
    (given,) = [index for index, turn in enumerate(task.turns) if turn.new_tools]
    name = task.turns[given].new_tools[0]
    call = calls((name, {}))
    turns = exported(task, *[call, DONE] * len(task.turns))
    assert [turn[0] for turn in turns] == [
        [{"not_run": "{}"}] if index < given else [{name: "{}"}] for index in range(len(task.turns))
    ]


def test_the_turn_in_which_a_limit_ended_the_episode_is_left_out() -> None:
    task = TASKS["multi_turn_base_0"]
    assert len(exported(task, "one", DONE, "two", "three", step_limit=1)) == 1
    episode = Episode(BFCL_ENVIRONMENT, task, parse, NoAugmentation(), 5)
    episode.reset()
    for completion in (DONE, DONE, DONE, "one"):
        episode.step(completion)
    episode.truncate()
    last = episode.finish()
    assert len(last.turns) == last.turn_count == 4
    assert not last.success
    assert len(result_entry(last, task)["result"]) == 3


def test_a_turn_at_its_step_limit_is_written_if_all_turns_were_played() -> None:
    task = TASKS["multi_turn_base_0"]
    last = played(task, DONE, DONE, DONE, "one", "two", step_limit=1)
    assert result_entry(last, task)["result"] == [[DONE], [DONE], [DONE], ["one", "two"]]
    first = played(task, "one", "two", step_limit=1, at_step_limit="next_turn")
    assert result_entry(first, task)["result"] == [["one", "two"], [DONE], [DONE], [DONE]]


def test_each_category_has_a_file_of_its_own(tmp_path: Path) -> None:
    names = ("multi_turn_base_0", "multi_turn_miss_func_0", "multi_turn_base_7")
    counts = write_results(tmp_path, "policy", [played(TASKS[name]) for name in names], TASKS)
    folder = tmp_path / "result" / "policy" / "multi_turn"
    base = folder / "BFCL_v4_multi_turn_base_result.json"
    assert counts == {base: 2, folder / "BFCL_v4_multi_turn_miss_func_result.json": 1}
    entries = [json.loads(line) for line in base.read_text(encoding="utf-8").splitlines()]
    assert [entry["id"] for entry in entries] == ["multi_turn_base_0", "multi_turn_base_7"]


def test_what_cannot_be_exported_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    right = played(TASKS["multi_turn_base_0"])
    with pytest.raises(UserError, match=r"multi_turn_base_0 was played more than once: .* samples=1"):
        write_results(tmp_path, "policy", [right, right], TASKS)
    foreign = Trajectory("playground_7", Category.BASE, right.turn_count, right.turns, right.end)
    with pytest.raises(UserError, match="'playground_7' is not one of BFCL's"):
        write_results(tmp_path, "policy", [foreign], TASKS)
    assert list(tmp_path.iterdir()) == []
    write_results(tmp_path, "policy", [right], TASKS)
    with pytest.raises(UserError, match="policy exists already"):
        write_results(tmp_path, "policy", [right], TASKS)


@pytest.mark.parametrize("name", ["my_model", "org/model", "7b", "", "a b", "mo'del"])
def test_a_name_that_the_official_program_would_misread_is_refused(name: str) -> None:
    with pytest.raises(UserError, match=r"letters, digits, '-' and '\.' only"):
        check_name(name)
    assert check_name("qwen2.5-7b") == "qwen2.5-7b"
