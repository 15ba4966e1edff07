"""The playground as a source of tasks: as many as wanted, each made when it is drawn."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from importlib.metadata import version
from typing import Annotated, Any, overload

from envtune.checked import Among, Count, EachOnce, checked
from envtune.data.bfcl import CATEGORIES, Categories, MaxTasks, ValidationSize
from envtune.environment.worlds import TOOLBOXES
from envtune.errors import UserError
from envtune.playground.categories import Shape, shaped
from envtune.playground.story_builder import StoryBuilder, Storyline, StorylineError
from envtune.playground.storylines import STORYLINES
from envtune.task import Category, Split, Task

# Raised whenever the same seed gives other tasks than before.
VERSION = 2
# How many turns a story is told in, drawn evenly. Withholding adds one.
LENGTHS = {
    Category.BASE: (1, 2, 2, 3, 3, 4),
    Category.LONG_CONTEXT: (2, 3, 3, 4),
    Category.MISS_FUNC: (1, 2, 2, 3),
    Category.MISS_PARAM: (1, 2, 2, 3),
}
# A tale is told anew when it has nothing that can be withheld. `car_tires` has a value to leave out in one tale of
# eight, so that 50 attempts failed in one of its tasks of a thousand, and with it the run.
MAX_TALES = 500
MAX_REMEMBERED = 1_000


@dataclass(frozen=True, slots=True)
class Story:
    """A task, and what its storyline knows of it.

    ``prerequisites`` are the places (turn, call) of ground-truth calls that no message asks for and without which a
    later one fails. ``looked_up`` maps a code that such a call finds to what the user calls the same thing.
    """

    task: Task
    storyline: str
    prerequisites: frozenset[tuple[int, int]]
    looked_up: Mapping[str, str]


@checked
class Playground:
    """Generated tasks on BFCL's tools; see docs/playground.md.

    ``train_size``, ``val_size`` and ``test_size`` are how many tasks the splits have, ``max_tasks`` how many of the
    training tasks are used. Training tasks are of the ``categories`` in turn, those of the other splits of
    ``val_categories`` (all four unless named). ``toolboxes`` are the classes that stories are told of. A task depends
    on these three and on ``seed``, its split and its number, and on nothing else.

    Raises:
        UserError: for a size below 1, an unknown or repeated name, or a category that none of the classes has.
    """

    def __init__(
        self,
        categories: Categories = CATEGORIES,
        toolboxes: EachOnce[Annotated[str, Among(TOOLBOXES)]] = TOOLBOXES,
        max_tasks: MaxTasks = None,
        train_size: Count = 1_000_000,
        val_size: ValidationSize = 100,
        test_size: Count = 400,
        val_categories: Categories | None = None,
        seed: int = 0,
    ) -> None:
        trained = tuple(map(Category, categories))
        held_out = tuple(map(Category, CATEGORIES if val_categories is None else val_categories))
        # In the order of the environment, whatever the order in which they are named.
        self._toolboxes = tuple(name for name in TOOLBOXES if name in toolboxes)
        self._categories = {Split.TRAIN: trained, Split.VAL: held_out, Split.TEST: held_out}
        self._lines = {
            category: _storylines(category, self._toolboxes) for category in dict.fromkeys((*trained, *held_out))
        }
        self._seed = seed
        train = train_size if max_tasks is None else min(train_size, max_tasks)
        self._tasks = {
            split: GeneratedTasks(self, split, size)
            for split, size in ((Split.TRAIN, train), (Split.VAL, val_size), (Split.TEST, test_size))
        }

    def tasks(self, split: Split) -> GeneratedTasks:
        """The tasks of one split. A task is made when it is asked for, and made again if it has been forgotten.

        Raises:
            UserError: if there is no such split.
        """
        if split not in list(Split):
            raise UserError(f"split {split!r} is unknown: use one of {', '.join(Split)}")
        return self._tasks[Split(split)]

    def story(self, split: Split, number: int) -> Story:
        """The task ``number`` of a split, made afresh, with what its storyline knows of it."""
        rng = random.Random(f"playground {self._seed} {split} {number}")
        categories = self._categories[split]
        category = categories[number % len(categories)]
        line = rng.choice(rng.choice(self._lines[category]))
        for _ in range(MAX_TALES):
            story = StoryBuilder(line.toolboxes, rng, rng.choice(LENGTHS[category]), category is Category.LONG_CONTEXT)
            line.tell(story)
            shape = shaped(story, category, split, rng)
            if shape is not None:
                return _story(line, story, shape, category, f"playground_{split}_{category}_{number}", number)
        raise StorylineError(f"{line.name} has been told {MAX_TALES} times, and has nothing to withhold for {category}")

    def describe(self) -> dict[str, Any]:
        """What has to be known to make the same tasks again."""
        return {
            "benchmark": "playground",
            "version": VERSION,
            "package": f"bfcl-eval {version('bfcl-eval')}",
            "seed": self._seed,
            "sizes": {str(split): len(tasks) for split, tasks in self._tasks.items()},
            "categories": {str(split): [str(c) for c in names] for split, names in self._categories.items()},
            "toolboxes": list(self._toolboxes),
        }


class GeneratedTasks(Sequence[Task]):
    """Tasks that are made when they are asked for. The latest ones are remembered, so that they stay the same objects.

    A slice is made at once.
    """

    def __init__(self, playground: Playground, split: Split, size: int) -> None:
        self._range = range(size)
        self._make = lru_cache(MAX_REMEMBERED)(lambda number: playground.story(split, number).task)

    def __len__(self) -> int:
        return len(self._range)

    @overload
    def __getitem__(self, index: int) -> Task: ...

    @overload
    def __getitem__(self, index: slice) -> tuple[Task, ...]: ...

    def __getitem__(self, index: int | slice) -> Task | tuple[Task, ...]:
        if isinstance(index, slice):
            return tuple(map(self._make, self._range[index]))
        return self._make(self._range[index])


def _storylines(category: Category, toolboxes: Sequence[str]) -> tuple[tuple[Storyline, ...], ...]:
    """The storylines that suit a category and need no other class, by the class that they are counted under."""
    suited = [
        line
        for line in STORYLINES
        if set(toolboxes).issuperset(line.toolboxes) and (line.can_crowd or category is not Category.LONG_CONTEXT)
    ]
    groups = (tuple(line for line in suited if line.toolboxes[0] == toolbox) for toolbox in toolboxes)
    found = tuple(group for group in groups if group)
    if not found:
        raise UserError(
            f"data.toolboxes={list(toolboxes)} has no story with a {category}: add one of GorillaFileSystem, "
            f"TicketAPI, MessageAPI or TwitterAPI, or leave {category} out of data.categories and data.val_categories"
        )
    return found


def _story(line: Storyline, story: StoryBuilder, shape: Shape, category: Category, name: str, number: int) -> Story:
    task = Task(name, category, number, story.toolboxes, story.initial_state, shape.tools, shape.turns)
    prerequisites = frozenset(
        (index, place)
        for index, origin in enumerate(shape.origins)
        if origin >= 0
        for place in story.turns[origin].prerequisites
    )
    return Story(task, line.name, prerequisites, story.looked_up)
