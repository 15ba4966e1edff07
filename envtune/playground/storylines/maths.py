"""Stories with numbers: statistics, units, and counting in files, each step from the result of the one before."""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

from envtune.playground import codes, values
from envtune.playground.storylines import files
from envtune.playground.tale import Storyline, Tale, storyline
from envtune.playground.wording import Phrase, gap, phrase

MATHS = "MathAPI"
# What a user says, and the tool that does it.
STATISTICS = {"mean": "mean", "sum": "sum_values", "minimum": "min_value", "maximum": "max_value"}
LENGTHS = (("km", "miles"), ("m", "ft"), ("m", "yd"), ("kg", "lb"), ("miles", "km"), ("ft", "m"), ("lb", "kg"))

STATISTIC = phrase(
    [
        "What is the {what} of {numbers}?",
        "[Compute|Tell me] the {what} of {numbers}.",
        "Here are some numbers: {numbers}. What is their {what}?",
    ],
    ["I want to know the {what} of these: {numbers}."],
    ["Of the numbers {numbers}, [compute|tell me] the {what}."],
    gap(
        "numbers",
        "list of numbers",
        ["What is the {what} of my numbers?", "I have some numbers. [Compute|Tell me] their {what}."],
        ["I want to know the {what} of some numbers."],
        ["Of my numbers, tell me the {what}."],
    ),
)
CONVERT = phrase(
    [
        "[Convert|Change] {value} {unit} to {other}.",
        "What [are|is] {value} {unit} in {other}?",
        "How many {other} are {value} {unit}?",
    ],
    ["I want to know {value} {unit} in {other}."],
    ["Tell me how many {other} there are in {value} {unit}."],
    gap(
        "value",
        "value",
        ["[Convert|Change] my {unit} to {other}.", "I have a value in {unit}. What is it in {other}?"],
        ["I want to know my {unit} in {other}."],
        ["Tell me how many {other} there are in my {unit}."],
    ),
)
MULTIPLY = phrase(
    ["Multiply [it|that|the result] by {number}.", "What is {number} times that?"],
    ["I want to know that times {number}."],
    ["Take the result {number} times."],
    gap(
        "number",
        "number",
        ["Multiply [it|that|the result] by a number."],
        ["I want to know that times another number."],
        ["Take the result many times."],
    ),
)
ADD = phrase(
    ["Add {number} to [it|that|the result].", "What is that plus {number}?", "What is the sum of that and {number}?"],
    ["I want to know the sum of that and {number}."],
    ["The result needs {number} more. Add it."],
    gap(
        "number",
        "number",
        ["Add a number to [it|that|the result]."],
        ["I want to know the sum of that and another number."],
        ["The result needs more. Add it."],
    ),
)
SUBTRACT = phrase(
    ["Subtract {number} from [it|that|the result].", "What is that minus {number}?", "What is that less {number}?"],
    ["I want to know that less {number}: subtract it."],
    ["Take {number} from the result: subtract it."],
    gap(
        "number",
        "number",
        ["Subtract a number from [it|that|the result]."],
        ["I want to know that less another number: subtract it."],
        ["Take something from the result: subtract it."],
    ),
)
ROUND = phrase(
    [
        "Round [it|that|the result] to {places} decimal places.",
        "[Give|Tell] me that with {places} decimal places. Round it.",
        "It should be rounded to {places} decimal places.",
    ],
    ["I want the result rounded to {places} decimal places."],
    ["Round it, {places} decimal places."],
)
HOW_LONG = phrase(
    [
        "How many {unit} do '{a}' and '{b}' in the folder '{folder}' have?",
        "Count the {unit} of '{a}' and of '{b}'. Both are in '{folder}'.",
        "In '{folder}', count the {unit} of '{a}', then of '{b}'.",
    ],
    ["I want to know how many {unit} are in '{a}' and in '{b}', two files of '{folder}'."],
    ["The folder '{folder}' has the files '{a}' and '{b}'. Tell me how many {unit} each has."],
    gap(
        "b",
        "other file",
        [
            "How many {unit} do '{a}' and another file in the folder '{folder}' have?",
            "In '{folder}', count the {unit} of '{a}', then of another file.",
        ],
        ["I want to know how many {unit} are in '{a}' and in another file of '{folder}'."],
        ["The folder '{folder}' has the file '{a}' and more. Tell me how many {unit} it and one of them have."],
    ),
)
HOW_LONG_LISTED = phrase(
    [
        "How many {unit} does the one with '{part}' in its name have, and how many the one with '{other}'?",
        "Count the {unit} of the one with '{part}' in its name, then of the one with '{other}'.",
    ],
    ["I want to know how many {unit} are in the one with '{part}' in its name and in the one with '{other}'."],
    ["Tell me how many {unit} the files named after '{part}' and '{other}' have."],
    gap(
        "other",
        "part of the other name",
        ["Count the {unit} of the one with '{part}' in its name, then of another one."],
        ["I want to know how many {unit} are in the one with '{part}' in its name and in another one."],
        ["Tell me how many {unit} the file named after '{part}' and another one have."],
    ),
)
OF_BOTH = phrase(
    ["What is the {what} of these two numbers?", "[Compute|Tell me] the {what} of the two."],
    ["I want to know the {what} of both numbers."],
    ["Of these two numbers, [compute|tell me] the {what}."],
)


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
    tale.say(files.LIST, folder=where)
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
