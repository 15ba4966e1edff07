"""What a check plays: an environment, and tasks drawn from its source."""

from __future__ import annotations

import random
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from envtune.environment.augmentation import Augmentation
from envtune.environment.interface import AuditedSource, Environment, TaskSource
from envtune.environment.selected_tasks import SelectedTasks, fault_of_fields
from envtune.errors import UserError
from envtune.task import Split, Task, ToolCall
from envtune.trajectory import Trajectory

Make = Callable[[], tuple[Environment, TaskSource]]
"""Makes environment and source. It is pickled, so that other processes make them too: a function of a module."""


@dataclass(frozen=True, slots=True)
class Evidence:
    """What the check of one promise found."""

    counterexample: str | None = None
    """The smallest case that breaks the promise, in one sentence; None if it holds."""
    notes: tuple[str, ...] = ()
    """What should be read although it is no failure: one line each, the summary first."""
    tool: str = ""
    """The tool that the counterexample calls, where that is known."""


@dataclass(frozen=True, slots=True)
class Trial:
    """An environment with the tasks that are played to check it."""

    make: Make
    environment: Environment
    tasks: Mapping[Split, tuple[Task, ...]]
    """The drawn tasks of each split."""
    ids: Mapping[Split, Collection[str]]
    """The ids of all tasks of each split; of the drawn ones where tasks are generated when they are read."""
    defective: frozenset[str]
    """The ids of the tasks that the source itself lists as defective."""
    size: int
    """The largest number of tasks drawn from each split."""
    seconds: float
    """The time that one call may take."""
    augmentation: Augmentation
    reward: Callable[[Trajectory], Any]
    unruly: frozenset[str] = frozenset()
    """Tools with calls that raise, exceed a limit or never return: they are called with right arguments only."""

    @property
    def distinct(self) -> list[Task]:
        """The drawn tasks of all splits, each once, those with the fewest calls first."""
        tasks = {task.id: task for split in self.tasks.values() for task in split}
        return sorted(tasks.values(), key=lambda task: len(ground_truth(task)))


def new_trial(
    make: Make,
    size: int,
    seconds: float,
    splits: Sequence[Split],
    augmentation: Augmentation,
    reward: Callable[[Trajectory], Any],
) -> Trial:
    """Return the trial of an environment.

    Raises:
        UserError: there are no training tasks, or a task cannot be opened at all.
    """
    environment, source = make()
    found = {split: _all_tasks(source, split) for split in splits}
    drawn = {split: draw(tasks, size) for split, tasks in found.items()}
    if not any(drawn.values()):
        raise UserError(f"{environment.name} has no tasks in the splits {', '.join(splits)}: add some")
    for split, tasks in drawn.items():
        for task in tasks:
            if fault := fault_of_fields(task):
                raise UserError(f"{split} task {task.id}: {fault}")
    ids = {
        split: frozenset(task.id for task in (tasks if isinstance(tasks, tuple | list) else drawn[split]))
        for split, tasks in found.items()
    }
    defective = source.left_out() if isinstance(source, AuditedSource) else frozenset()
    return Trial(make, environment, drawn, ids, defective, size, seconds, augmentation, reward)


def _all_tasks(source: TaskSource, split: Split) -> Sequence[Task]:
    """Return the tasks of a split, also those whose ground truth fails."""
    return source.unplayed(split) if isinstance(source, SelectedTasks) else source.tasks(split)


def draw(tasks: Sequence[Task], size: int) -> tuple[Task, ...]:
    """Return at most ``size`` tasks, the same in every process, in the order of the source."""
    places = random.Random(0).sample(range(len(tasks)), min(size, len(tasks)))
    return tuple(tasks[place] for place in sorted(places))


def without(trial: Trial, tools: Collection[str]) -> Trial:
    """Return the trial with further unruly tools."""
    return replace(trial, unruly=trial.unruly.union(tools))


def ground_truth(task: Task) -> tuple[ToolCall, ...]:
    """Return the ground-truth calls of all turns."""
    return tuple(call for turn in task.turns for call in turn.ground_truth)


def smallest(
    calls: Sequence[ToolCall], fails: Callable[[Sequence[ToolCall]], str | None]
) -> tuple[Sequence[ToolCall], str] | None:
    """Return the fewest of some calls that still fail, with the sentence on it; None if they do not fail together.

    One call alone is tried first, then calls are left out one by one.
    """
    sentence = fails(calls)
    if sentence is None:
        return None
    for call in calls:
        if alone := fails([call]):
            return [call], alone
    kept, place = list(calls), 0
    while place < len(kept):
        fewer = kept[:place] + kept[place + 1 :]
        if shorter := fails(fewer):
            kept, sentence = fewer, shorter
        else:
            place += 1
    return kept, sentence
