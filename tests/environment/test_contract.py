from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import broken_environments as broken
import pytest
from broken_environments import BROKEN, Desk, Tasks

from envtune.bfcl.benchmark import BFCL
from envtune.bfcl.environment import BFCLEnvironment
from envtune.environment import PythonEnvironment, Task, UserTurn, call
from envtune.environment.contract import Outcome, assert_environment, check_environment
from envtune.environment.contract.trial import Make, smallest
from envtune.errors import UserError
from envtune.playground.source import Playground
from envtune.task import Split
from envtune.trajectory import Trajectory

FOLDERS = sorted((Path(__file__).parents[2] / "examples").iterdir())
EXAMPLES = [folder for folder in FOLDERS if (folder / f"{folder.name}.py").exists()]


def bfcl() -> Any:
    return BFCLEnvironment(), BFCL()


def playground() -> Any:
    return BFCLEnvironment(), Playground()


@pytest.mark.parametrize("make", [bfcl, playground])
def test_the_projects_own_sources_keep_every_promise(make: Make):
    outcomes = check_environment(make, tasks=8 if make is bfcl else 4)
    assert [outcome.number for outcome in outcomes] == [*range(1, 12)]
    assert [outcome.counterexample for outcome in outcomes if not outcome.passed] == []


@pytest.mark.parametrize("folder", EXAMPLES, ids=lambda folder: folder.name)
def test_every_example_keeps_every_promise(folder: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.syspath_prepend(folder)
    assert_environment(folder.name, tasks=4)


@cache
def found(make: Make) -> dict[int, Outcome]:
    """Promise 4 takes as long as all others, and is left out where it is not the one that breaks."""
    numbers = [number for number in range(1, 12) if number != 4 or BROKEN.get(make, 4) == 4]
    return {outcome.number: outcome for outcome in check_environment(make, seconds=0.5, promises=numbers)}


def broken_by(make: Make) -> list[int]:
    return [number for number, outcome in found(make).items() if not outcome.passed]


def test_a_sound_environment_keeps_every_promise():
    assert [*found(broken.sound)] == [*range(1, 12)]
    assert broken_by(broken.sound) == []


@pytest.mark.parametrize(("make", "number"), BROKEN.items(), ids=lambda value: getattr(value, "__name__", value))
def test_a_fault_breaks_its_promise_and_no_other(make: Make, number: int):
    assert broken_by(make) == [number]


@pytest.mark.parametrize(
    ("make", "number", "sentence"),
    [
        (
            broken.failing_ground_truth,
            1,
            "cup, turn 0: put(thing='cup', drawer='green') fails: Error during execution: no such drawer",
        ),
        (broken.shared_state, 2, "pen: put(thing='pen', drawer='red') changes another world of the task"),
        (broken.aliased_copy, 3, "pen: put(thing='pen', drawer='red') changes a copy of the world"),
        (broken.exits, 5, "pen: look(drawer='..') raises SystemExit (3)"),
        (broken.never_returns, 5, "pen: look(drawer='') has not returned after 0.5 s"),
        (broken.ends_the_process, 5, "pen: look(drawer='0') ends the process"),
        (broken.no_type, 6, "put: the argument drawer has no type"),
        (
            broken.meddling_hint,
            7,
            "pen: with the hints after put(thing='pen', drawer='nowhere') before the ground truth, the results differ",
        ),
        (broken.leak, 8, "pen: after put(thing='pen', drawer='nowhere') the hint 'Try red.' holds 'red'"),
        (broken.common_tasks, 10, "the test task cup is a train task too, one of 1"),
    ],
    ids=lambda value: getattr(value, "__name__", None),
)
def test_a_counterexample_is_the_smallest_case(make: Make, number: int, sentence: str):
    assert found(make)[number].counterexample == sentence


def test_a_right_call_that_never_returns_is_named_wherever_it_is_made():
    outcomes, put = found(broken.waits_in_the_ground_truth), "pen: put(thing='pen', drawer='red')"
    assert outcomes[1].counterexample == f"{put} has not returned after 0.5 s"
    assert outcomes[4].counterexample == f"pen: another process ends at {put[5:]}, look(drawer='red')"
    assert outcomes[5].counterexample == "pen: put(thing='', drawer='red') has not returned after 0.5 s"
    assert {*range(1, 12)}.difference(broken_by(broken.waits_in_the_ground_truth)) == {6, 10}


def test_failures_without_a_hint_are_listed_by_tool():
    total, look, *others = found(broken.sound)[9].notes
    assert total == "84 of 104 failing calls get no hint"
    assert look == "look: 40, such as Error during execution: 'drawer' is missing"
    assert [line.split(":")[0] for line in others] == ["put", "look_now", "put_now"]


def asked_alike() -> Any:
    environment = PythonEnvironment(Desk)
    return environment, Changed(environment, turns=(UserTurn("What is this?"),))


def test_held_out_tasks_with_the_messages_of_train_tasks_are_listed():
    (outcome,) = check_environment(asked_alike, promises=[10])
    assert outcome.passed
    count, *pairs = outcome.notes
    assert count == "2 drawn held-out tasks have messages almost as those of a drawn train task"
    assert pairs == ["book and pen", "lamp and pen"]


def test_only_the_calls_that_a_failure_needs_are_kept():
    calls = [call(name) for name in "abcdef"]

    def fails(kept: Any) -> str | None:
        names = "".join(made.name for made in kept)
        return f"{names} fails" if "b" in names and "e" in names else None

    assert smallest(calls, fails) == ([call("b"), call("e")], "be fails")
    assert smallest(calls, lambda kept: "e fails" if call("e") in kept else None) == ([call("e")], "e fails")
    assert smallest(calls, lambda kept: None) is None


def test_an_assertion_lists_every_broken_promise():
    with pytest.raises(AssertionError, match=r"promises\n10 train and held-out tasks share no id: the test task cup"):
        assert_environment(broken.common_tasks)


def without_turns() -> Any:
    environment = PythonEnvironment(Desk)
    return environment, Changed(environment, turns=())


def two_tools_of_one_name() -> Any:
    environment = PythonEnvironment(Desk)
    return environment, Changed(environment, tools=environment.documents[:1] * 2)


class Changed(Tasks):
    def __init__(self, environment: PythonEnvironment, **fields: Any) -> None:
        super().__init__(environment)
        self._fields = fields

    def tasks(self, split: Split) -> list[Task]:
        return [dataclasses.replace(task, **self._fields) for task in super().tasks(split)]


class HeldDesk(Desk):
    def __deepcopy__(self, memo: Any) -> HeldDesk:
        raise TypeError("a lock is held")


def that_cannot_be_copied() -> Any:
    environment = PythonEnvironment(HeldDesk)
    return environment, Tasks(environment)


def without_tasks() -> Any:
    environment = PythonEnvironment(Desk)
    return environment, Tasks(environment, dict.fromkeys(Split, ()))


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        ("no_such_module", "environment.module=no_such_module cannot be imported"),
        ("json", "environment.module=json has no `environment`"),
        (without_tasks, "Desk has no tasks in the splits train, val, test: add some"),
        (without_turns, "train task pen: it has no turns: give at least one UserTurn"),
        (two_tools_of_one_name, "train task pen: two of its tools have the name look: rename one"),
        (that_cannot_be_copied, r"HeldDesk cannot be copied \(TypeError: a lock is held\)"),
        (lambda: broken.sound(), "another process cannot make the environment .*: give the name of a module, or"),
    ],
)
def test_what_cannot_be_checked_ends_in_one_sentence(make: Make | str, sentence: str):
    with pytest.raises(UserError, match=rf"\A{sentence}"):
        check_environment(make)


def test_the_checker_reads_results_that_the_terminal_would_not(capfd: pytest.CaptureFixture[str]):
    assert_environment(printing, promises=[1, 2])
    assert capfd.readouterr().out == ""


class PrintingDesk(Desk):
    def look(self, drawer: str) -> list[str]:
        os.write(1, b"looking")
        return super().look(drawer)


def printing() -> Any:
    environment = PythonEnvironment(PrintingDesk)
    return environment, Tasks(environment)


class Judged(Tasks):
    """The last turn has a check, which the answer must pass."""

    def __init__(self, environment: PythonEnvironment, check: Callable[[Any, str], float]) -> None:
        super().__init__(environment)
        self._check = check

    def _task(self, thing: str) -> Task:
        task = super()._task(thing)
        return dataclasses.replace(task, turns=(*task.turns[:1], UserTurn("How many?", check=self._check)))


def counts_things(desk: Desk, answer: str) -> float:
    return float(answer == str(len(desk.drawers["red"])))


def passes_always(desk: Desk, answer: str) -> float:
    return 1.0


def judged() -> Any:
    environment = PythonEnvironment(Desk, broken.HINTS)
    return environment, Judged(environment, counts_things)


def judged_kindly() -> Any:
    environment = PythonEnvironment(Desk, broken.HINTS)
    return environment, AlwaysPassed(environment, passes_always)


class AlwaysPassed(Judged):
    def _task(self, thing: str) -> Task:
        return dataclasses.replace(super()._task(thing), turns=(UserTurn("How many?", check=self._check),))


def test_a_check_that_wants_a_certain_answer_is_noted():
    first = found(judged)[1]
    assert first.passed
    assert first.notes[0] == "4 turns have a check that their ground truth alone does not pass"


def test_a_check_that_passes_without_an_answer_is_a_trap():
    assert found(judged_kindly)[11].counterexample == "pen: doing nothing at all gets a progress of 1.00"


class Audited(broken.Green):
    def left_out(self) -> frozenset[str]:
        return frozenset({"cup"})


def audited() -> Any:
    environment = PythonEnvironment(Desk, broken.HINTS)
    return environment, Audited(environment)


def test_a_task_that_the_source_lists_as_defective_may_fail():
    (outcome,) = check_environment(audited, promises=[1])
    assert outcome.passed
    assert outcome.notes == ("1 tasks are left out, as the source lists them as defective",)


def count_of_hints(trajectory: Trajectory) -> int:
    return sum(result.hint is not None for result in trajectory.results)


def test_a_reward_that_counts_hints_breaks_promise_7():
    (outcome,) = check_environment(broken.sound, promises=[7], reward=count_of_hints)
    assert outcome.counterexample is not None
    assert outcome.counterexample.endswith("before the ground truth, the rewards differ")
