"""Ten environments, each with one fault, and a sound one. Other processes import this module to make them."""

from __future__ import annotations

import copy
import os
import time
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, ClassVar

from envtune.environment import PythonEnvironment, Rule, Task, UserTurn, call
from envtune.environment.contract.trial import Make
from envtune.environment.python_world import PythonWorld
from envtune.task import Split
from envtune.trajectory import ToolResult

SUPPLIES = ("ink", "paper", "glue", "chalk", "tape", "string", "wax")


class Desk:
    """A desk with drawers. Things are put into a drawer and taken out."""

    def __init__(self, drawers: dict[str, list[str]]) -> None:
        self.drawers = drawers

    def look(self, drawer: str) -> list[str]:
        """List what a drawer holds.

        Args:
            drawer: The colour of the drawer.
        """
        return self.drawers[drawer]

    def put(self, thing: str, drawer: str) -> str:
        """Put a thing into a drawer.

        Args:
            thing: The name of the thing.
            drawer: The colour of the drawer.
        """
        if drawer not in self.drawers:
            raise LookupError("no such drawer")
        self.drawers[drawer].append(thing)
        return "put"


def no_drawer(text: Any) -> Rule:
    return Rule("desk.no_drawer", "put", "no such drawer", text)


HINTS = (no_drawer("There is no drawer {drawer}."),)


class Tasks:
    """One task per thing in each split: put it into the red drawer, then look."""

    def __init__(self, environment: PythonEnvironment, things: dict[Split, Sequence[str]] | None = None) -> None:
        self._things = things or {Split.TRAIN: ("pen", "cup"), Split.VAL: ("book",), Split.TEST: ("book", "lamp")}
        self._environment = environment

    def tasks(self, split: Split) -> list[Task]:
        return [self._task(thing) for thing in self._things[split]]

    def describe(self) -> dict[str, Any]:
        return {}

    def _task(self, thing: str) -> Task:
        turns = (
            UserTurn(f"Put the {thing} into the red drawer.", (call("put", thing=thing, drawer="red"),)),
            UserTurn("Is it there?", (call("look", drawer="red"),)),
        )
        world = {"drawers": {"red": [], "blue": ["key"]}}
        return Task(thing, "base", world, turns, self._environment.documents)


def sound() -> Any:
    environment = PythonEnvironment(Desk, HINTS)
    return environment, Tasks(environment)


class SharedDesk(Desk):
    log: ClassVar[list[str]] = []

    def put(self, thing: str, drawer: str) -> str:
        self.log.append(thing)
        return super().put(thing, drawer)


def shared_state() -> Any:
    """All desks write to one list."""
    environment = PythonEnvironment(SharedDesk, HINTS)
    return environment, Tasks(environment)


class AliasedDesk(Desk):
    def __deepcopy__(self, memo: Any) -> AliasedDesk:
        return AliasedDesk(dict(self.drawers))


def aliased_copy() -> Any:
    """A copied desk has the same drawers."""
    environment = PythonEnvironment(AliasedDesk, HINTS)
    return environment, OnePut(environment)


class OnePut(Tasks):
    """Without a second turn, which the twin of an aliased copy would see too early."""

    def tasks(self, split: Split) -> list[Task]:
        return [replace(task, turns=task.turns[:1]) for task in super().tasks(split)]


class OddWorld(PythonWorld):
    """A world whose calls may go wrong in ways that those of plain classes cannot."""

    def copy(self) -> OddWorld:
        copied = super().copy()
        made = type(self)(copied._instance, copied._tools)
        made.offer(copied.tools)
        return made


class OddEnvironment(PythonEnvironment):
    def __init__(self, world: type[OddWorld]) -> None:
        super().__init__(Desk, HINTS)
        self._world = world

    def open(self, task: Task) -> OddWorld:
        world = super().open(task)
        return self._world(world._instance, world._tools)


class ExitingWorld(OddWorld):
    def call(self, call: Any, budget: Any = None) -> ToolResult:
        if call.name == "look" and call.arguments.get("drawer") == "..":
            raise SystemExit(3)
        return super().call(call, budget)


def exits() -> Any:
    """A tool ends the process on one argument."""
    environment = OddEnvironment(ExitingWorld)
    return environment, Tasks(environment)


class ClockDesk(Desk):
    def put(self, thing: str, drawer: str) -> str:
        return f"{super().put(thing, drawer)} on {time.strftime('%x')}"


def clock() -> Any:
    """A result holds the date."""
    environment = PythonEnvironment(ClockDesk, HINTS)
    return environment, Tasks(environment)


class HashDesk(Desk):
    def look(self, drawer: str) -> str:
        return f"{self.drawers[drawer]} beside {', '.join({*SUPPLIES})}"


def hash_seed() -> Any:
    """A result has the order of a set."""
    environment = PythonEnvironment(HashDesk, HINTS)
    return environment, Tasks(environment)


def leak() -> Any:
    """A hint holds the name of the drawer that is right."""
    first = no_drawer(lambda made, match, world: f"Try {next(iter(world.view.drawers))}.")
    environment = PythonEnvironment(Desk, (first,))
    return environment, Unnamed(environment)


class Unnamed(Tasks):
    """The user does not say which drawer."""

    def _task(self, thing: str) -> Task:
        task = super()._task(thing)
        first = replace(task.turns[0], message=f"Put the {thing} where it belongs.")
        return replace(task, turns=(first, *task.turns[1:]))


def failing_ground_truth() -> Any:
    """The ground truth of one task names a drawer that does not exist."""
    environment = PythonEnvironment(Desk, HINTS)
    return environment, Green(environment)


class Green(Tasks):
    def _task(self, thing: str) -> Task:
        task = super()._task(thing)
        if thing != "cup":
            return task
        return replace(task, turns=(UserTurn("Into the green one.", (call("put", thing=thing, drawer="green"),)),))


def no_type() -> Any:
    """The document of a tool has an argument without a type."""
    environment = PythonEnvironment(Desk, HINTS)
    return environment, Untyped(environment)


class Untyped(Tasks):
    def _task(self, thing: str) -> Task:
        task = super()._task(thing)
        look, put = (copy.deepcopy(tool) for tool in task.tools)
        del put.parameters["properties"]["drawer"]["type"]
        return replace(task, tools=(look, put))


class GrowingWorld(OddWorld):
    def call(self, call: Any, budget: Any = None) -> ToolResult:
        result = super().call(call, budget)
        if call.name == "put" and result.ok:
            self._instance.drawers[call.arguments["drawer"]] *= 2
        return result


def grows() -> Any:
    """A drawer holds twice as much after each call, and nothing bounds it."""
    environment = OddEnvironment(GrowingWorld)
    return environment, Tasks(environment)


class WaitingDesk(Desk):
    def put(self, thing: str, drawer: str) -> str:
        time.sleep(3600)
        return "put"


def waits_in_the_ground_truth() -> Any:
    """Not even the right call returns."""
    environment = PythonEnvironment(WaitingDesk, HINTS)
    return environment, Tasks(environment)


class EndingDesk(Desk):
    def look(self, drawer: str) -> list[str]:
        if drawer == "0":
            os._exit(0)
        return super().look(drawer)


def ends_the_process() -> Any:
    """A tool ends the process without an exception."""
    environment = PythonEnvironment(EndingDesk, HINTS)
    return environment, Tasks(environment)


class EndlessDesk(Desk):
    def look(self, drawer: str) -> list[str]:
        while not drawer:
            time.sleep(0.01)
        return super().look(drawer)


def never_returns() -> Any:
    """A tool waits for ever on an empty text."""
    environment = PythonEnvironment(EndlessDesk, HINTS)
    return environment, Tasks(environment)


def common_tasks() -> Any:
    """A test task is a train task."""
    environment = PythonEnvironment(Desk, HINTS)
    things = {Split.TRAIN: ("pen", "cup"), Split.VAL: ("book",), Split.TEST: ("book", "cup")}
    return environment, Tasks(environment, things)


def free_answers() -> Any:
    """Most tasks succeed by an answer."""
    environment = PythonEnvironment(Desk, HINTS)
    return environment, Free(environment)


class Free(Tasks):
    def _task(self, thing: str) -> Task:
        return replace(super()._task(thing), turns=(UserTurn(f"What do you think of this {thing}?"),))


def meddling_hint() -> Any:
    """The text of a hint is made by a function that changes the state."""

    def meddle(made: Any, match: Any, world: Any) -> str:
        world.view.drawers["red"].append("dust")
        return "There is no such drawer."

    environment = PythonEnvironment(Desk, (no_drawer(meddle),))
    return environment, Tasks(environment)


BROKEN: dict[Make, int] = {
    failing_ground_truth: 1,
    shared_state: 2,
    aliased_copy: 3,
    clock: 4,
    hash_seed: 4,
    exits: 5,
    grows: 5,
    never_returns: 5,
    no_type: 6,
    meddling_hint: 7,
    leak: 8,
    common_tasks: 10,
    free_answers: 11,
}
