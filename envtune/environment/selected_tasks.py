"""Tasks of any source, chosen by group and number, and validated before a model is loaded."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import Annotated, Any, Protocol

from pydantic import Field

from envtune.checked import Count, EachOnce, checked
from envtune.environment.even_draw import draw_evenly
from envtune.environment.interface import Environment
from envtune.environment.judge import share_granted
from envtune.errors import UserError
from envtune.task import Split, Task, ToolDocument, require_split

# Types of the settings of task sources.
ValidationSize = Annotated[int, Field(ge=1, description="the best checkpoint and the curves come of validation")]
MaxTasks = Annotated[Count | None, Field(description="null for all")]


class UnselectedTasks(Protocol):
    """All tasks of a user, such as those of a module or a file."""

    @property
    def place(self) -> str:
        """The place that error messages name, such as a module or a path."""
        ...

    def all_tasks(self, split: Split) -> Iterable[Task]:
        """Return every task of a split; none if the split does not exist."""
        ...


@checked
class SelectedTasks:
    """A selection of tasks, with the documents of the environment's tools.

    Args:
        source: all tasks.
        environment: plays them.
        categories: the groups of training tasks; None for all.
        val_categories: the groups of validation tasks; None for all.
        max_tasks: the largest number of training tasks, drawn evenly over their groups; None for all.
        val_size: the largest number of validation tasks, drawn likewise; None for all.
        seed: the seed of the draws.
    """

    def __init__(
        self,
        source: UnselectedTasks,
        environment: Environment,
        categories: EachOnce[str] | None = None,
        val_categories: EachOnce[str] | None = None,
        max_tasks: MaxTasks = None,
        val_size: ValidationSize | None = None,
        seed: int = 0,
    ) -> None:
        self._source, self._environment, self._seed = source, environment, seed
        self._groups = {
            Split.TRAIN: ("data.categories", categories),
            Split.VAL: ("data.val_categories", val_categories),
        }
        self._sizes = {Split.TRAIN: ("data.max_tasks", max_tasks), Split.VAL: ("data.val_size", val_size)}
        self._chosen: dict[Split, tuple[Task, ...]] = {}

    def tasks(self, split: Split) -> tuple[Task, ...]:
        """Return the tasks of one split, in the order of the source.

        Raises:
            UserError: the split is unknown, the source has no tasks of it or of a group, or a task cannot be played.
        """
        split = require_split(split)
        if split not in self._chosen:
            loaded = self._load(split, lambda task: fault_of(self._environment, task))
            if not loaded:
                raise UserError(f"{self._source.place} has no {split} tasks: add some")
            self._chosen[split] = tuple(self._choose(split, loaded))
        return self._chosen[split]

    def every_task(self) -> list[Task]:
        """Return the tasks of all splits, whatever is chosen."""
        return [task for split in Split for task in self._load(split, lambda task: fault_of(self._environment, task))]

    def unplayed(self, split: Split) -> tuple[Task, ...]:
        """Return the tasks of one split without playing them, for checks that report which of them fail; maybe none.

        Raises:
            UserError: the source does not have a group, or fields of a task are not valid.
        """
        return tuple(self._choose(split, self._load(split, fault_of_fields)))

    def describe(self) -> dict[str, Any]:
        """Return the source, and the tasks that scores must share to be comparable."""
        train, validation = self.tasks(Split.TRAIN), self.tasks(Split.VAL)
        return {
            "benchmark": self._source.place,
            "environment": self._environment.name,
            "deterministic": getattr(self._environment, "deterministic", True),
            "categories": list(dict.fromkeys(task.group for task in train)),
            "training_tasks": [task.id for task in train],
            "validation_tasks": [task.id for task in validation],
        }

    def _load(self, split: Split, fault_in: Callable[[Task], str | None]) -> list[Task]:
        documents: tuple[ToolDocument, ...] = getattr(self._environment, "documents", ())
        tasks = []
        for number, task in enumerate(self._source.all_tasks(split), start=1):
            where = f"{self._source.place}, {split} task {number}"
            if not isinstance(task, Task):
                raise UserError(f"{where} has the type {type(task).__name__}: give an envtune.environment.Task")
            tasks.append(task if task.tools else replace(task, tools=documents))
            if fault := fault_in(tasks[-1]):
                raise UserError(f"{where} ({task.id}): {fault}")
        for name, count in Counter(task.id for task in tasks).items():
            if count > 1:
                raise UserError(f"{self._source.place} has two {split} tasks with the id {name}: give each its own")
        return tasks

    def _choose(self, split: Split, tasks: Sequence[Task]) -> Sequence[Task]:
        by_group: dict[str, list[str]] = {}
        for task in tasks:
            by_group.setdefault(task.group, []).append(task.id)
        setting, groups = self._groups.get(split, ("", None))
        for group in groups or ():
            if group not in by_group:
                raise UserError(
                    f"{setting}={list(groups or ())}: {self._source.place} has no {split} tasks of the group {group}; "
                    f"use some of {', '.join(by_group)}, or null for all"
                )
        candidates = {group: by_group[group] for group in groups or by_group}
        setting, size = self._sizes.get(split, ("", None))
        count = sum(map(len, candidates.values()))
        chosen = {*draw_evenly(candidates, count if size is None else size, self._seed, setting)}
        return [task for task in tasks if task.id in chosen]


def fault_of(environment: Environment, task: Task) -> str | None:
    """Return why a task cannot be played, with what to do, or None: its fields, then its ground truth, are tried."""
    if fault := fault_of_fields(task):
        return fault
    world = environment.open(task)
    for index, turn in enumerate(task.turns):
        for call in turn.ground_truth:
            if call.name not in world.tools:
                known = ", ".join(sorted(world.tools))
                return f"the ground truth of turn {index} calls the unknown tool {call.name}: its tools are {known}"
            result = world.call(call)
            if not result.ok:
                return f"the ground truth of turn {index} fails at {call.name} ({result.text[:200]}): correct the task"
        if turn.check is not None:
            share_granted(turn.check, world.view, "", task.id)
    if not environment.open(task).same_as(environment.open(task)):
        return "two worlds of it are not equal: let the world depend on the task alone, and compare plain values"
    return None


def fault_of_fields(task: Task) -> str | None:
    """Return which field of a task is not valid, with what to do, or None. The task is not played."""
    offered = [tool.name for tool in task.tools]
    if not task.turns:
        return "it has no turns: give at least one UserTurn"
    if not isinstance(task.id, str) or not isinstance(task.group, str):
        return f"id={task.id!r} and group={task.group!r} must be text"
    if repeated := [name for name in offered if offered.count(name) > 1]:
        return f"two of its tools have the name {repeated[0]}: rename one"
    for index, turn in enumerate(task.turns):
        if unknown := [name for name in turn.new_tools if name not in offered]:
            return f"turn {index} hands over the unknown tool {unknown[0]}: its tools are {', '.join(offered)}"
        if turn.check is not None and not callable(turn.check):
            return f"the check of turn {index} has the type {type(turn.check).__name__}: give a function"
    return None
