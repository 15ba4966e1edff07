"""Stories with numbers: statistics, units and counts in files, each step on the result of the previous one."""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

from envtune.playground import codes, values
from envtune.playground.phrase import read_phrases
from envtune.playground.story_builder import Scene, StoryBuilder, storyline
from envtune.playground.storylines import file_stories

MATHS = "MathAPI"
PHRASES = read_phrases("maths")
# What a user says, and the tool for it.
STATISTICS = {"mean": "mean", "sum": "sum_values", "minimum": "min_value", "maximum": "max_value"}
LENGTHS = (("km", "miles"), ("m", "ft"), ("m", "yd"), ("kg", "lb"), ("miles", "km"), ("ft", "m"), ("lb", "kg"))


class Sums(Scene):
    """Steps of a calculation, each on the result of the previous one."""

    phrases = PHRASES

    def __init__(self, story: StoryBuilder, result: Any) -> None:
        super().__init__(story)
        self.result = result

    def go_on(self) -> None:
        """Continue with steps on the result; rounding can only be the last."""
        last = [self.round] if isinstance(self.result, float) else []
        self.story.go_on([self.multiply, self.add, self.subtract], last)

    def multiply(self) -> None:
        """Ask to multiply the result."""
        self._step("multiply", operator.mul)

    def add(self) -> None:
        """Ask to add to the result."""
        self._step("add", operator.add)

    def subtract(self) -> None:
        """Ask to subtract from the result."""
        self._step("subtract", operator.sub)

    def round(self) -> None:
        """Ask to round the result."""
        places = self.rng.randint(1, 2)
        self.ask("round", "round_number", {"places": places}, number=self.result, decimal_places=places)

    def _step(self, tool: str, operation: Callable[[float, float], float]) -> None:
        # Of eight numbers the one with the shortest result, which is easier to copy into the next call.
        number = min(self.rng.sample(range(2, 60), 8), key=lambda other: len(str(operation(self.result, other))))
        self.result = self.ask(tool, tool, {"number": number}, a=self.result, b=number)["result"]


@storyline(MATHS)
def maths_statistics(story: StoryBuilder) -> None:
    """Compute a statistic of four numbers, then go on with the result."""
    what, tool = story.rng.choice(tuple(STATISTICS.items()))
    numbers = [story.rng.randint(2, 400) for _ in range(4)]
    story.world(MATHS)
    story.say(PHRASES["statistic"], what=what, numbers=numbers)
    Sums(story, story.call(tool, numbers=numbers)["result"]).go_on()


@storyline(MATHS)
def maths_units(story: StoryBuilder) -> None:
    """Convert a length or weight, then round it or add to it."""
    unit, other = story.rng.choice(LENGTHS)
    units = {"unit_in": unit, "unit_out": other}
    value = story.rng.choice(codes.neat(MATHS, "imperial_si_conversion", "value", range(2, 200), **units))
    story.world(MATHS)
    story.say(PHRASES["convert"], value=value, unit=unit, other=other)
    sums = Sums(story, story.call("imperial_si_conversion", value=value, **units)["result"])
    if story.length > 1:
        story.rng.choice((sums.round, sums.add))()


@storyline(MATHS, file_stories.FILES)
def maths_files(story: StoryBuilder) -> None:
    """Count in two files, then compute with the counts."""
    names = values.distinct_files(story.rng, 3)
    where, _ = file_stories.two_folders(story, names)
    unit = _unit(story)
    file_stories.enter(story, PHRASES["how_long"], where, unit=unit, a=names[0], b=names[1])
    _compute_with(story, [_count(story, name, unit) for name in names[:2]])


@storyline(MATHS, file_stories.FILES, can_crowd=True)
def maths_listed(story: StoryBuilder) -> None:
    """List a folder, count in two of its files, then compute with the counts."""
    names = values.distinct_files(story.rng, story.many(3, 5, crowd=24))
    where, _ = file_stories.two_folders(story, names, {"old": file_stories.folder({})})
    unit = _unit(story)
    file_stories.enter(story, file_stories.PHRASES["list"], where)
    story.call("ls")
    chosen = story.rng.sample(names, 2)
    part, other = map(file_stories.stem, chosen)
    story.say(PHRASES["how_long_listed"], unit=unit, part=part, other=other)
    _compute_with(story, [_count(story, name, unit) for name in chosen])


def _unit(story: StoryBuilder) -> str:
    return story.rng.choice(("words", "characters"))


def _count(story: StoryBuilder, file: str, unit: str) -> int:
    return story.call("wc", file_name=file, mode=file_stories.UNITS[unit])["count"]


def _compute_with(story: StoryBuilder, counts: list[int]) -> None:
    if len(story.turns) >= story.length:
        return
    what, tool = story.rng.choice(tuple(STATISTICS.items()))
    story.say(PHRASES["of_both"], what=what)
    sums = Sums(story, story.call(tool, numbers=counts)["result"])
    acts: list[Callable[[], None]] = [sums.multiply, sums.add]
    story.go_on(acts)
