"""Worlds of a plain class: what a call does, what is compared, what is bounded."""

from __future__ import annotations

import sqlite3
import sys
from typing import Any

import pytest

from envtune.environment import PythonEnvironment, Task, UserTurn, call
from envtune.environment import python_world as bounds
from envtune.environment.judge import Judge
from envtune.environment.python_world import state_of
from envtune.errors import UserError
from envtune.task import ToolCall


class Tally:
    """A counter with a public total and a private log."""

    def __init__(self, total: int = 0, notes: list[str] | None = None) -> None:
        self.total, self.notes = total, notes if notes is not None else []
        self._log: list[int] = []

    def add(self, amount: int) -> int:
        """Add to the total.

        Args:
            amount: A number.
        """
        if amount < 0:
            raise ValueError("negative")
        self.total += amount
        self._log.append(amount)
        return self.total

    def note(self, text: str) -> None:
        """Keep a text.

        Args:
            text: Any text.
        """
        self.notes.append(text)

    def repeat(self, text: str, times: int) -> str:
        """Return a text several times, and keep it.

        Args:
            text: Any text.
            times: How often.
        """
        self.notes += [text] * times
        return "kept"

    def leave(self) -> None:
        """End the process."""
        sys.exit(3)

    def fault(self) -> dict[str, str]:
        """Report an error without raising."""
        return {"error": "out of order"}


COUNTER = PythonEnvironment(Tally)


def task_of(*turns: UserTurn, **world: Any) -> Task:
    return Task("t", "base", world, turns or (UserTurn("Hi"),), COUNTER.documents)


def result(world: Any, tool: str, **arguments: Any) -> tuple[bool, str]:
    returned = world.call(ToolCall(tool, arguments))
    return returned.ok, returned.text


def test_a_call_changes_the_state_and_returns_its_value_as_text():
    world = COUNTER.open(task_of(total=3))
    assert result(world, "add", amount=4) == (True, "7")
    assert world.view.total == 7


@pytest.mark.parametrize(
    ("tool", "arguments", "text"),
    [
        ("add", {"amount": -1}, "negative"),
        ("add", {"amount": "4"}, "amount"),
        ("add", {}, "amount"),
        ("add", {"amount": 1, "extra": 2}, "extra"),
        ("fly", {}, "'fly' is not a tool that is offered now"),
        ("leave", {}, "3"),
        ("fault", {}, "out of order"),
        ("note", {"text": "x" * 30_001}, "30000 characters"),
    ],
)
def test_what_a_model_may_write_is_a_failed_result_and_changes_nothing(tool: str, arguments: Any, text: str):
    world = COUNTER.open(task_of())
    ok, said = result(world, tool, **arguments)
    assert not ok
    assert text in said
    assert world.same_as(COUNTER.open(task_of()))


def test_a_call_is_undone_if_the_state_would_grow_beyond_its_bound(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(bounds, "MAX_STATE_VALUES", 60)
    world = COUNTER.open(task_of())
    assert result(world, "repeat", text="a", times=20) == (True, "kept")
    ok, text = result(world, "repeat", text="a", times=50)
    assert not ok
    assert "60 values are allowed" in text
    assert len(world.view.notes) == 20


def test_public_attributes_are_compared_and_private_ones_are_not():
    one, other = COUNTER.open(task_of()), COUNTER.open(task_of())
    result(one, "add", amount=2)
    assert not one.same_as(other)
    result(other, "add", amount=1)
    result(other, "add", amount=1)
    assert one.same_as(other)


def test_worlds_and_copies_share_nothing_with_the_task_or_each_other():
    given = ["a"]
    task = task_of(notes=given)
    one, other = COUNTER.open(task), COUNTER.open(task)
    copied = one.copy()
    result(one, "note", text="b")
    assert (one.view.notes, other.view.notes, copied.view.notes, given) == (["a", "b"], ["a"], ["a"], ["a"])


def test_a_tool_that_is_not_offered_cannot_be_called():
    world = COUNTER.open(task_of())
    world.offer(["note", "unknown"])
    assert world.tools == {"note"}
    assert not result(world, "add", amount=1)[0]


class Ledger:
    """A class whose state is in a database."""

    def __init__(self, amounts: tuple[int, ...] = ()) -> None:
        self._base = sqlite3.connect(":memory:")
        self._base.execute("create table entry (amount integer)")
        self._base.executemany("insert into entry values (?)", [(amount,) for amount in amounts])

    def __deepcopy__(self, memo: Any) -> Ledger:
        copied = Ledger()
        self._base.commit()
        self._base.backup(copied._base)
        return copied

    def state(self) -> list[str]:
        return list(self._base.iterdump())

    def enter(self, amount: int) -> int:
        """Enter an amount.

        Args:
            amount: A number.
        """
        self._base.execute("insert into entry values (?)", (amount,))
        return amount


def test_a_class_with_its_own_state_is_compared_and_copied_by_it():
    ledger = PythonEnvironment(Ledger)
    assert [document.name for document in ledger.documents] == ["enter"]
    task = Task("t", "base", {"amounts": [1]}, (), ledger.documents)
    one, other = ledger.open(task), ledger.open(task)
    copied = one.copy()
    assert result(one, "enter", amount=5) == (True, "5")
    assert not one.same_as(other)
    assert copied.same_as(other)
    result(other, "enter", amount=5)
    assert one.same_as(other)


class Locked:
    """A class that cannot be copied."""

    def __init__(self) -> None:
        self.lines = (line for line in "ab")

    def look(self) -> str:
        """Look."""
        return "nothing"


def test_a_state_that_cannot_be_copied_or_made_ends_in_one_sentence():
    locked = PythonEnvironment(Locked)
    world = locked.open(Task("t", "base", {}, (), locked.documents))
    with pytest.raises(UserError, match=r"^Locked cannot be copied \(TypeError: .*\): keep the state in plain values"):
        world.call(call("look"))
    with pytest.raises(UserError, match=r"^the world of task t cannot be made: Tally\(\*\*task.world\) raises TypeErr"):
        COUNTER.open(task_of(colour="red"))


class Slotted:
    """A class with slots."""

    __slots__ = ("_hidden", "shown")

    def __init__(self) -> None:
        self.shown, self._hidden = 1, 2


def test_the_state_of_a_class_with_slots_is_its_public_ones():
    assert state_of(Slotted()) == {"shown": 1}


@pytest.mark.parametrize(
    ("agent", "expected", "verdict"),
    [
        ([], [], True),
        (["a"], [], True),
        ([], ["a"], False),
        (["b", "a"], ["a", "b"], True),
        (["a", "b"], ["a", "a"], False),
        (["a", "b", "a"], ["a", "a"], True),
    ],
)
def test_results_match_as_a_sub_multiset_in_any_order(agent: list[str], expected: list[str], verdict: bool):
    class Echo:
        def say(self, text: str) -> str:
            """Return a text.

            Args:
                text: Any text.
            """
            return text

    echo = PythonEnvironment(Echo)
    turn = UserTurn("Say it.", tuple(call("say", text=text) for text in expected))
    task = Task("t", "base", {}, (turn,), echo.documents)
    judge = Judge(echo, task, echo.open(task))
    judge.see(agent)
    assert judge.verdict(0, called=True, answer="").response is verdict


def verdict_of(turn: UserTurn, called: bool, answer: str | None, *calls: ToolCall) -> Any:
    task = task_of(turn)
    agent = COUNTER.open(task)
    judge = Judge(COUNTER, task, agent)
    judge.see(agent.call(made).text for made in calls)
    return judge.verdict(0, called=called, answer=answer)


def test_a_check_judges_the_world_and_the_answer_in_place_of_the_twin():
    half = UserTurn("Count to 4.", check=lambda counter, answer: min(1, counter.total / 4) if "4" in answer else 0)
    assert verdict_of(half, True, "It is 4.", call("add", amount=2)).checked == 0.5
    whole = verdict_of(half, True, "It is 4.", call("add", amount=3), call("add", amount=1))
    assert (whole.passed, whole.passed_officially) == (True, True)
    assert verdict_of(half, True, None, call("add", amount=4)).checked == 0
    with pytest.raises(
        UserError, match=r"the check of a turn of t returned 2: it must return a truth value or a share"
    ):
        verdict_of(UserTurn("x", check=lambda counter, answer: 2), False, "")


def test_a_turn_without_ground_truth_is_passed_by_an_answer_without_a_call():
    ask = UserTurn("Add it.")
    assert verdict_of(ask, False, "How much?").passed_officially
    assert not verdict_of(ask, True, "Done.", call("add", amount=1)).passed_officially
    assert not verdict_of(ask, False, None).passed_officially


def test_the_state_is_measured_in_objects_too_and_once_however_often_it_is_reached():
    tally = Tally(3, ["xyz"])
    # Characters: a, xyz. Values: the dict, a, the list, the object twice, 3, notes, xyz, the log.
    assert bounds.measure_state({"a": [tally, tally]}) == (4, 9)
