"""Stories with numbers: statistics, units, and counting in files, each step from the result of the one before."""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

from envtune.playground import codes, values
from envtune.playground.phrases.files import LIST
from envtune.playground.phrases.maths import (
    ADD,
    CONVERT,
    HOW_LONG,
    HOW_LONG_LISTED,
    MULTIPLY,
    OF_BOTH,
    ROUND,
    STATISTIC,
    SUBTRACT,
)
from envtune.playground.storylines import files
from envtune.playground.tale import Storyline, Tale, storyline
from envtune.playground.wording import Phrase

MATHS = "MathAPI"
# What a user says, and the tool that does it.
STATISTICS = {"mean": "mean", "sum": "sum_values", "minimum": "min_value", "maximum": "max_value"}
LENGTHS = (("km", "miles"), ("m", "ft"), ("m", "yd"), ("kg", "lb"), ("miles", "km"), ("ft", "m"), ("lb", "kg"))


class Sums:
    """Work on a result: each step takes the result of the one before."""

    def __init__(self, tale: Tale, result: Any) -> None:
        self.tale, self.result = tale, result

    def go_on(self) -> None:
        self.tale.go_on(
            [self.multiply, self.add, self.subtract], [self.round] if isinstance(self.result, float) else []
        )

    def multiply(self) -> None:
        self._step(MULTIPLY, "multiply", operator.mul)

    def add(self) -> None:
        self._step(ADD, "add", operator.add)

    def subtract(self) -> None:
        self._step(SUBTRACT, "subtract", operator.sub)

    def round(self) -> None:
        places = self.tale.rng.randint(1, 2)
        self.tale.say(ROUND, places=places)
        self.tale.call("round_number", number=self.result, decimal_places=places)

    def _step(self, what: Phrase, tool: str, operation: Callable[[float, float], float]) -> None:
        # A short result is copied more easily into the next call.
        number = min(self.tale.rng.sample(range(2, 60), 8), key=lambda other: len(str(operation(self.result, other))))
        self.tale.say(what, number=number)
        self.result = self.tale.call(tool, a=self.result, b=number)["result"]


@storyline(MATHS)
def maths_statistics(tale: Tale) -> None:
    what, tool = tale.rng.choice(tuple(STATISTICS.items()))
    numbers = [tale.rng.randint(2, 400) for _ in range(4)]
    tale.world(MATHS)
    tale.say(STATISTIC, what=what, numbers=numbers)
    Sums(tale, tale.call(tool, numbers=numbers)["result"]).go_on()


@storyline(MATHS)
def maths_units(tale: Tale) -> None:
    unit, other = tale.rng.choice(LENGTHS)
    units = {"unit_in": unit, "unit_out": other}
    value = tale.rng.choice(codes.neat(MATHS, "imperial_si_conversion", "value", range(2, 200), **units))
    tale.world(MATHS)
    tale.say(CONVERT, value=value, unit=unit, other=other)
    sums = Sums(tale, tale.call("imperial_si_conversion", value=value, **units)["result"])
    if tale.length > 1:
        tale.rng.choice((sums.round, sums.add))()


@storyline(MATHS, files.FILES)
def maths_files(tale: Tale) -> None:
    names = values.distinct_files(tale.rng, 3)
    where, _ = files.two_folders(tale, names)
    unit = _unit(tale)
    tale.say(HOW_LONG, unit=unit, a=names[0], b=names[1], folder=where)
    tale.first("cd", folder=where)
    _compute_with(tale, [_count(tale, name, unit) for name in names[:2]])


@storyline(MATHS, files.FILES, can_crowd=True)
def maths_listed(tale: Tale) -> None:
    names = values.distinct_files(tale.rng, tale.many(3, 5, crowd=24))
    where, _ = files.two_folders(tale, names, {"old": files.folder({})})
    unit = _unit(tale)
    tale.say(LIST, folder=where)
    tale.first("cd", folder=where)
    tale.call("ls")
    chosen = tale.rng.sample(names, 2)
    tale.say(HOW_LONG_LISTED, unit=unit, part=files.stem(chosen[0]), other=files.stem(chosen[1]))
    _compute_with(tale, [_count(tale, name, unit) for name in chosen])


def _unit(tale: Tale) -> str:
    return tale.rng.choice(("words", "characters"))


def _count(tale: Tale, file: str, unit: str) -> int:
    return tale.call("wc", file_name=file, mode=files.UNITS[unit])["count"]


def _compute_with(tale: Tale, counts: list[int]) -> None:
    if len(tale.turns) >= tale.length:
        return
    what, tool = tale.rng.choice(tuple(STATISTICS.items()))
    tale.say(OF_BOTH, what=what)
    sums = Sums(tale, tale.call(tool, numbers=counts)["result"])
    acts: list[Callable[[], None]] = [sums.multiply, sums.add]
    tale.go_on(acts)


STORYLINES: tuple[Storyline, ...] = (maths_statistics, maths_units, maths_files, maths_listed)
