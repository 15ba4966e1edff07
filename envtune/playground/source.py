"""The playground as a source of tasks, each generated when it is drawn."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from importlib.metadata import version
from typing import Annotated, Any, overload

from envtune.bfcl.benchmark import Categories
from envtune.bfcl.category import CATEGORIES, Category
from envtune.bfcl.scenario import Scenario
from envtune.bfcl.worlds import TOOLBOXES
from envtune.checked import Among, Count, EachOnce, checked
from envtune.environment.selected_tasks import MaxTasks, ValidationSize
from envtune.errors import UserError
from envtune.playground.categories import shape_story
from envtune.playground.story_builder import StoryBuilder, Storyline, StorylineError
from envtune.playground.storylines import STORYLINES
from envtune.task import Split, Task, require_split

# Raised whenever a seed gives other tasks than in the version before.
VERSION = 2
# The number of turns of a story, drawn evenly. Withholding adds one.
LENGTHS = {
    Category.BASE: (1, 2, 2, 3, 3, 4),
    Category.LONG_CONTEXT: (2, 3, 3, 4),
    Category.MISS_FUNC: (1, 2, 2, 3),
    Category.MISS_PARAM: (1, 2, 2, 3),
}
# A story is told again if nothing in it can be withheld. `car_tires` has a value to withhold in one story of eight, so
# 50 attempts failed in one of its tasks of a thousand, and the run with it.
MAX_ATTEMPTS = 500
MAX_REMEMBERED = 1_000


@dataclass(frozen=True, slots=True)
class Story:
    """A task with facts about its ground truth."""

    task: Task
    storyline: str = ""
    prerequisites: frozenset[tuple[int, int]] = frozenset()
    """The places (turn, call) of calls that no message asks for and without which a later call fails."""
    looked_up: Mapping[str, str] = field(default_factory=dict)
    """For each code that a prerequisite returns, the user's name for it."""


@checked
class Playground:
    """Generated tasks on BFCL's tools; see docs/playground.md.

    A task depends on ``categories`` or ``val_categories``, ``toolboxes``, ``seed``, its split and its number alone.

    Args:
        categories: the categories of training tasks, in turn; None for all four.
        toolboxes: the tool classes of the stories.
        max_tasks: the number of training tasks that are used; None for all.
        train_size: the number of training tasks.
        val_size: the number of validation tasks.
        test_size: the number of test tasks.
        val_categories: the categories of validation and test tasks, in turn; None for all four.
        seed: the seed of all tasks.

    Raises:
        UserError: a size is below 1, a name is unknown or repeated, or no class has stories of a category.
    """

    def __init__(
        self,
        categories: Categories | None = None,
        toolboxes: EachOnce[Annotated[str, Among(TOOLBOXES)]] = TOOLBOXES,
        max_tasks: MaxTasks = None,
        train_size: Count = 1_000_000,
        val_size: ValidationSize = 100,
        test_size: Count = 400,
        val_categories: Categories | None = None,
        seed: int = 0,
    ) -> None:
        trained = tuple(map(Category, CATEGORIES if categories is None else categories))
        held_out = tuple(map(Category, CATEGORIES if val_categories is None else val_categories))
        # In the environment's order, so that tasks do not depend on the order of the setting.
        self._toolboxes = tuple(name for name in TOOLBOXES if name in toolboxes)
        self._categories = {Split.TRAIN: trained, Split.VAL: held_out, Split.TEST: held_out}
        self._lines = {c: _storylines(c, self._toolboxes) for c in dict.fromkeys((*trained, *held_out))}
        self._seed = seed
        train = train_size if max_tasks is None else min(train_size, max_tasks)
        sizes = {Split.TRAIN: train, Split.VAL: val_size, Split.TEST: test_size}
        self._tasks = {split: GeneratedTasks(self, split, size) for split, size in sizes.items()}

    def tasks(self, split: Split) -> GeneratedTasks:
        """Return the tasks of one split, each generated when it is read.

        Raises:
            UserError: the split is unknown.
        """
        return self._tasks[require_split(split)]

    def story(self, split: Split, number: int) -> Story:
        """Generate the task ``number`` of a split, with facts about its ground truth."""
        rng = random.Random(f"playground {self._seed} {split} {number}")
        categories = self._categories[split]
        category = categories[number % len(categories)]
        line = rng.choice(rng.choice(self._lines[category]))
        for _ in range(MAX_ATTEMPTS):
            story = StoryBuilder(line.toolboxes, rng, rng.choice(LENGTHS[category]), category is Category.LONG_CONTEXT)
            line.tell(story)
            shape = shape_story(story, category, split)
            if shape is not None:
                name = f"playground_{split}_{category}_{number}"
                world = Scenario(number, story.toolboxes, story.initial_state)
                task = Task(name, str(category), world, shape.turns, shape.tools)
                told = [(index, story.turns[origin]) for index, origin in enumerate(shape.origins) if origin >= 0]
                prerequisites = frozenset((index, place) for index, turn in told for place in turn.prerequisites)
                return Story(task, line.name, prerequisites, story.looked_up)
        raise StorylineError(
            f"{line.name} has been told {MAX_ATTEMPTS} times, and has nothing to withhold for {category}"
        )

    def describe(self) -> dict[str, Any]:
        """Return the settings and versions that reproduce the tasks."""
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
    """A sequence of tasks, each generated when it is read; a slice is generated at once.

    The latest ``MAX_REMEMBERED`` are cached, so that reading one again returns the same object.
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
    """Return the storylines that suit a category and need no other classes, grouped by their first class."""
    has, crowded = set(toolboxes).issuperset, category is Category.LONG_CONTEXT
    suited = [line for line in STORYLINES if has(line.toolboxes) and (line.can_crowd or not crowded)]
    groups = (tuple(line for line in suited if line.toolboxes[0] == toolbox) for toolbox in toolboxes)
    found = tuple(group for group in groups if group)
    if not found:
        raise UserError(
            f"data.toolboxes={list(toolboxes)} has no story with a {category}: add one of GorillaFileSystem, "
            f"TicketAPI, MessageAPI or TwitterAPI, or leave {category} out of data.categories and data.val_categories"
        )
    return found
