"""Tasks of a user's module or of JSON lines: what is chosen, and the sentences that mistakes end in."""

from __future__ import annotations

import json
import sys
from collections import Counter
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import pytest

from envtune.environment import PythonEnvironment, Task, UserTurn, call
from envtune.environment.even_draw import draw_evenly
from envtune.environment.json_tasks import JsonTasks
from envtune.environment.python_module import ModuleTasks, environment_of
from envtune.environment.selected_tasks import SelectedTasks
from envtune.errors import UserError
from envtune.task import Split


class Door:
    """A door."""

    def __init__(self, locked: bool = False) -> None:
        self.locked, self.open = locked, False

    def unlock(self, code: int) -> str:
        """Unlock the door.

        Args:
            code: The code.
        """
        if code != 7:
            raise ValueError("wrong code")
        self.locked = False
        return "unlocked"


DOOR = PythonEnvironment(Door)


def task(name: str, group: str = "base", code: int = 7) -> Task:
    return Task(name, group, {"locked": True}, (UserTurn("Unlock it.", (call("unlock", code=code),)),))


class Made:
    """Tasks made by hand."""

    place = "the hand"

    def __init__(self, train: Iterable[Task], val: Iterable[Task] = ()) -> None:
        self._tasks = {Split.TRAIN: train, Split.VAL: val, Split.TEST: ()}

    def all_tasks(self, split: Split) -> Iterable[Task]:
        return self._tasks[split]


TASKS = [task(f"{group}{number}", group) for group, count in (("a", 5), ("b", 2)) for number in range(count)]


def chosen(split: Split = Split.TRAIN, **settings: object) -> list[str]:
    source = SelectedTasks(Made(TASKS, TASKS), DOOR, **settings)
    return [task.id for task in source.tasks(split)]


def test_all_tasks_come_with_the_documents_of_all_tools():
    source = SelectedTasks(Made(TASKS, TASKS), DOOR)
    assert source.tasks("train") == tuple(replace(task, tools=DOOR.documents) for task in TASKS)
    assert source.describe()["categories"] == ["a", "b"]


def test_groups_and_numbers_choose_tasks_of_each_split_in_the_order_of_the_source():
    assert chosen(categories=["b"]) == ["b0", "b1"]
    assert chosen(Split.VAL, categories=["b"]) == [task.id for task in TASKS]
    assert chosen(Split.VAL, val_categories=["b"], val_size=1) in (["b0"], ["b1"])
    four = chosen(max_tasks=4)
    assert Counter(name[0] for name in four) == {"a": 2, "b": 2}
    assert four == sorted(four)
    assert chosen(max_tasks=4, seed=1) != four or chosen(max_tasks=4, seed=2) != four


def test_a_number_above_that_of_the_tasks_chooses_all_of_them():
    assert chosen(max_tasks=75) == [task.id for task in TASKS]


def test_a_draw_gives_the_first_groups_one_more_and_fills_up_from_those_that_have_more():
    ids = {"a": list("123456"), "b": ["7"], "c": list("89")}
    assert Counter("a" if name < "7" else "b" if name < "8" else "c" for name in draw_evenly(ids, 6, 0, "s")) == {
        "a": 3,
        "b": 1,
        "c": 2,
    }
    assert len(draw_evenly({"a": list("123"), "b": list("456")}, 3, 0, "s")) == 3


@pytest.mark.parametrize(
    ("tasks", "sentence"),
    [
        (
            [task("x", code=8)],
            r"the hand, train task 1 \(x\): the ground truth of turn 0 fails at unlock .Error.*wrong",
        ),
        ([replace(task("x"), turns=())], r"the hand, train task 1 \(x\): it has no turns: give at least one UserTurn"),
        ([task("x"), task("x")], r"the hand has two train tasks with the id x: give each its own"),
        ([{"id": "x"}], r"the hand, train task 1 has the type dict: give an envtune.environment.Task"),
        (
            [replace(task("x"), world={"color": 1})],
            r"the world of task x cannot be made: Door\(\*\*task.world\) rai",
        ),
        ([replace(task("x"), turns=(UserTurn("a", check=3),))], r"the check of turn 0 has the type int: give a"),
        ([replace(task("x"), turns=(UserTurn("a", new_tools=("fly",)),))], r"turn 0 hands over the unknown tool fly"),
        ([replace(task("x"), id=3)], r"id=3 and group='base' must be text"),
        ([], r"the hand has no train tasks: add some"),
    ],
)
def test_a_task_that_cannot_be_played_ends_in_one_sentence(tasks: list[Task], sentence: str):
    with pytest.raises(UserError, match=sentence):
        SelectedTasks(Made(tasks, TASKS), DOOR).tasks(Split.TRAIN)


def test_a_group_that_the_source_does_not_have_is_refused_with_those_it_has():
    with pytest.raises(
        UserError, match=r"data.categories=\['c'\]: the hand has no train tasks of the group c; use .*, b"
    ):
        chosen(categories=["c"])


MODULE = """
from envtune.environment import PythonEnvironment, Task, UserTurn

class Bell:
    def ring(self) -> str:
        "Ring."
        return "rung"

environment = PythonEnvironment(Bell)

def tasks(split):
    if split == "test":
        raise KeyError("none")
    yield Task(f"{split}_0", "base", {}, (UserTurn("Ring."),))
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.syspath_prepend(tmp_path)
    return tmp_path


def test_a_module_is_environment_and_source_of_tasks(folder: Path):
    (folder / "bell_module.py").write_text(MODULE)
    environment, source = environment_of("bell_module"), ModuleTasks("bell_module")
    assert environment is environment_of("bell_module")
    assert [task.id for task in source.all_tasks(Split.VAL)] == ["val_0"]
    with pytest.raises(UserError, match=r"^tasks.'test'. of the module bell_module fails .KeyError in bell_m"):
        source.all_tasks(Split.TEST)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (None, r"^environment.module=given cannot be imported \(ModuleNotFoundError: No module named 'given'\): give"),
        (
            "import nowhere",
            r"cannot be imported \(ModuleNotFoundError in given.py, line 1: No module named .nowhere.",
        ),
        ("def x(:", r"cannot be imported \(SyntaxError.*\): correct it"),
        ("import sys\nsys.exit(3)", r"cannot be imported \(SystemExit in given.py, line 2: 3\): correct it"),
        ("1 / 0", r"cannot be imported \(ZeroDivisionError in given.py, line 1: division by zero\)"),
        ("tasks = 1", r"^environment.module=given has no `environment`: define a PythonEnvironment or another object"),
        ("environment = 3", r"^environment.module=given: its `environment` has the type int, without `name`"),
    ],
)
def test_a_module_that_cannot_be_used_ends_in_one_sentence(folder: Path, text: str | None, sentence: str):
    sys.modules.pop("given", None)
    if text is not None:
        (folder / "given.py").write_text(text)
    with pytest.raises(UserError, match=sentence):
        environment_of("given")


def test_a_module_without_a_function_tasks_ends_in_one_sentence(folder: Path):
    (folder / "no_tasks.py").write_text("environment = 1")
    with pytest.raises(UserError, match=r"^environment.module=no_tasks has no `tasks`: define a function of `split`"):
        ModuleTasks("no_tasks")
    (folder / "listed.py").write_text("tasks = []")
    with pytest.raises(UserError, match=r"^`tasks` of the module listed is not a function"):
        ModuleTasks("listed")


LINE = {
    "id": "x",
    "group": "hard",
    "world": {"locked": True},
    "turns": [{"message": "Unlock.", "calls": [{"name": "unlock", "arguments": {"code": 7}}]}, {"message": "Thanks."}],
}


def test_tasks_are_read_from_json_lines(tmp_path: Path):
    (tmp_path / "train.jsonl").write_text(json.dumps(LINE | {"tools": ["unlock"]}) + "\n")
    (read,) = JsonTasks(str(tmp_path), DOOR).all_tasks(Split.TRAIN)
    turns = (UserTurn("Unlock.", (call("unlock", code=7),)), UserTurn("Thanks."))
    assert read == Task("x", "hard", {"locked": True}, turns, DOOR.documents)
    assert list(JsonTasks(str(tmp_path), DOOR).all_tasks(Split.TEST)) == []


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        (LINE | {"turns": []}, r"train.jsonl, line 2: turns: List should have at least 1 item"),
        (LINE | {"id": 3}, r"line 2: id: Input should be a valid string"),
        (LINE | {"wrld": {}}, r"line 2: wrld: Extra inputs are not permitted"),
        (LINE | {"turns": [{"calls": [{"arguments": {}}]}]}, r"line 2: turns.0.calls.0.name: Field required"),
        (LINE | {"tools": ["fly"]}, r"line 2: the tool 'fly' is unknown: use some of unlock"),
        ([1], r"line 2 is not a JSON object"),
    ],
)
def test_a_line_that_is_not_a_task_is_named_by_its_number(tmp_path: Path, line: object, sentence: str):
    (tmp_path / "train.jsonl").write_text(f"{json.dumps(LINE)}\n{json.dumps(line)}\n")
    with pytest.raises(UserError, match=sentence):
        list(JsonTasks(str(tmp_path), DOOR).all_tasks(Split.TRAIN))


def test_a_function_that_returns_nothing_and_an_unknown_tool_are_named(folder: Path):
    (folder / "forgot_yield.py").write_text("def tasks(split): pass")
    with pytest.raises(
        UserError, match=r"^tasks\('train'\) of the module forgot_yield returns None: return or yield its"
    ):
        ModuleTasks("forgot_yield").all_tasks(Split.TRAIN)
    unknown = Task("x", "base", {}, (UserTurn("Open it.", (call("unlok", code=7),)),))
    with pytest.raises(
        UserError, match="the ground truth of turn 0 calls the unknown tool unlok: its tools are unlock"
    ):
        SelectedTasks(Made([unknown], TASKS), DOOR).tasks(Split.TRAIN)


def test_json_lines_with_a_byte_order_mark_are_read(tmp_path: Path):
    (tmp_path / "train.jsonl").write_text(json.dumps(LINE) + "\r\n", encoding="utf-8-sig")
    assert [task.id for task in JsonTasks(str(tmp_path), DOOR).all_tasks(Split.TRAIN)] == ["x"]
