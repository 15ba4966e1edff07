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
        "I [need|would like to have] the {what} of [the numbers |]{numbers}.",
        "[Can|Could] you [compute|tell me] the {what} of {numbers}[, please|]?",
        "My numbers are {numbers}. [I need|Tell me|Compute] their {what}.",
        "It is the {what} of {numbers} that I [need|want to have].",
        "For {numbers}, what [is|would be] the {what}?",
        "Take {numbers} and [compute|tell me] the {what}.",
        "{numbers}: how [large|big] is the {what} of these?",
    ],
    ["I want to know the {what} of these: {numbers}."],
    ["Of the numbers {numbers}, [compute|tell me] the {what}."],
    gap(
        "numbers",
        "list of numbers",
        [
            "What is the {what} of my numbers?",
            "I have some numbers. [Compute|Tell me] their {what}.",
            "I [need|would like] to have the {what} of a few numbers.",
            "[Can|Could] you [compute|tell me] the {what} of [my|some|a few] numbers[, please|]?",
            "There are [some|a few] numbers of mine. What is their {what}?",
            "It is the {what} of [some|my] numbers that I [need|want to have].",
            "I have [some|a list of] numbers and need [their {what}|the {what} of them].",
        ],
        ["I want to know the {what} of some numbers."],
        ["Of my numbers, tell me the {what}."],
    ),
)
CONVERT = phrase(
    [
        "[Convert|Change] {value} {unit} to {other}.",
        "What [are|is] {value} {unit} in {other}?",
        "How many {other} are {value} {unit}?",
        "I have {value} {unit} and [need|want] [them|that] in {other}.",
        "[Can|Could] you [convert|change] {value} {unit} [to|into] {other}[, please|]?",
        "It is {value} {unit}. [How many {other} is that?|What is that in {other}?]",
        "{value} {unit} should be [converted|changed] [to|into] {other}.",
        "In {other}, [what|how much] [is|are] {value} {unit}?",
        "Tell me [what|how much] {value} {unit} [is|would be] in {other}.",
    ],
    ["I want to know {value} {unit} in {other}."],
    ["Tell me how many {other} there are in {value} {unit}."],
    gap(
        "value",
        "value",
        [
            "[Convert|Change] my {unit} to {other}.",
            "I have a value in {unit}. What is it in {other}?",
            "I have some {unit} and [need|want] them in {other}.",
            "[Can|Could] you [convert|change] my {unit} [to|into] {other}[, please|]?",
            "My {unit} should be [converted|changed] [to|into] {other}.",
            "In {other}, [what|how much] are my {unit}?",
            "I would like to [convert|change] [my|some] {unit} [to|into] {other}.",
            "It is time to convert [my|some] {unit} [to|into] {other}.",
        ],
        ["I want to know my {unit} in {other}."],
        ["Tell me how many {other} there are in my {unit}."],
    ),
)
MULTIPLY = phrase(
    [
        "Multiply [it|that|the result] by {number}.",
        "What is {number} times that?",
        "I [need|would like] [it|that|the result] multiplied by {number}.",
        "[Can|Could] you multiply [it|that|the result] by {number}[, please|]?",
        "[It|That|The result] should be multiplied by {number}.",
        "What do I get [if|when] I multiply [it|that] by {number}?",
        "How much is {number} times [that|the result]?",
        "{number} times [that|the result], [what|how much] is it?",
    ],
    ["I want to know that times {number}."],
    ["Take the result {number} times."],
    gap(
        "number",
        "number",
        [
            "Multiply [it|that|the result] by a number.",
            "I [need|would like] [it|that|the result] multiplied by [a|some] number.",
            "[Can|Could] you multiply [it|that|the result] by [a|some] number[, please|]?",
            "[It|That|The result] should be multiplied[ by something|].",
            "What do I get [if|when] I multiply [it|that] by a number?",
            "It is time to multiply [it|that|the result].",
        ],
        ["I want to know that times another number."],
        ["Take the result many times."],
    ),
)
ADD = phrase(
    [
        "Add {number} to [it|that|the result].",
        "What is that plus {number}?",
        "What is the sum of that and {number}?",
        "I [need|would like] [it|that|the result] plus {number}.",
        "[Can|Could] you add {number} to [it|that|the result][, please|]?",
        "{number} should be added to [it|that|the result].",
        "How much is [that|the result] [plus|and] {number}?",
        "What do I get [if|when] I add {number}[ to it| to that|]?",
        "To [that|the result], add {number}[, please|].",
    ],
    ["I want to know the sum of that and {number}."],
    ["The result needs {number} more. Add it."],
    gap(
        "number",
        "number",
        [
            "Add a number to [it|that|the result].",
            "I [need|would like] to add a number to [it|that|the result].",
            "[Can|Could] you add [a|some] number to [it|that|the result][, please|]?",
            "A number should be added to [it|that|the result].",
            "What do I get [if|when] I add a number[ to it| to that|]?",
            "How much is [that|the result] plus [a|some] number?",
            "It is time to add something to [it|that|the result].",
        ],
        ["I want to know the sum of that and another number."],
        ["The result needs more. Add it."],
    ),
)
SUBTRACT = phrase(
    [
        "Subtract {number} from [it|that|the result].",
        "What is that minus {number}?",
        "What is that less {number}?",
        "I [need|would like] [it|that|the result] minus {number}.",
        "[Can|Could] you subtract {number} from [it|that|the result][, please|]?",
        "{number} should be subtracted from [it|that|the result].",
        "How much is [that|the result] [minus|less] {number}?",
        "What do I get [if|when] I subtract {number}[ from it| from that|]?",
        "From [that|the result], subtract {number}[, please|].",
    ],
    ["I want to know that less {number}: subtract it."],
    ["Take {number} from the result: subtract it."],
    gap(
        "number",
        "number",
        [
            "Subtract a number from [it|that|the result].",
            "I [need|would like] to subtract a number from [it|that|the result].",
            "[Can|Could] you subtract [a|some] number from [it|that|the result][, please|]?",
            "A number should be subtracted from [it|that|the result].",
            "What do I get [if|when] I subtract a number[ from it| from that|]?",
            "How much is [that|the result] minus [a|some] number?",
            "It is time to subtract something from [it|that|the result].",
        ],
        ["I want to know that less another number: subtract it."],
        ["Take something from the result: subtract it."],
    ),
)
ROUND = phrase(
    [
        "Round [it|that|the result] to {places} decimal places.",
        "[Give|Tell] me that with {places} decimal places. Round it.",
        "It should be rounded to {places} decimal places.",
        "I [need|would like] {places} decimal places, so round [it|that|the result].",
        "[Can|Could] you round [it|that|the result] to {places} decimal places[, please|]?",
        "{places} decimal places are enough. Round [it|that|the result].",
        "What is [that|the result] when you round it to {places} decimal places?",
        "It has too many decimal places. Round it to {places}.",
        "[That|The result] should have {places} decimal places, so round it.",
    ],
    ["I want the result rounded to {places} decimal places."],
    ["Round it, {places} decimal places."],
)
HOW_LONG = phrase(
    [
        "How many {unit} do '{a}' and '{b}' in the folder '{folder}' have?",
        "Count the {unit} of '{a}' and of '{b}'. Both are in '{folder}'.",
        "In '{folder}', count the {unit} of '{a}', then of '{b}'.",
        "I [need|would like] the number of {unit} of '{a}' and of '{b}'. [Both|The two files] are in '{folder}'.",
        "[Can|Could] you count the {unit} [of|in] '{a}' and '{b}' [in|from] the folder '{folder}'?",
        "There are '{a}' and '{b}' in '{folder}'. Count the {unit} of [both|each|the two].",
        "The {unit} of two files in '{folder}' should be counted: [that is |]'{a}' and '{b}'.",
        "For '{a}' and for '{b}', both in '{folder}', [count the {unit}|I need the number of {unit}].",
        "How long are '{a}' and '{b}' in '{folder}', [counted |]in {unit}?",
    ],
    ["I want to know how many {unit} are in '{a}' and in '{b}', two files of '{folder}'."],
    ["The folder '{folder}' has the files '{a}' and '{b}'. Tell me how many {unit} each has."],
    gap(
        "b",
        "other file",
        [
            "How many {unit} do '{a}' and another file in the folder '{folder}' have?",
            "In '{folder}', count the {unit} of '{a}', then of another file.",
            "I [need|would like] the number of {unit} of '{a}' and of another file. [Both|The two] are in '{folder}'.",
            "[Can|Could] you count the {unit} [of|in] '{a}' and another file [in|from] the folder '{folder}'?",
            "There are '{a}' and another file in '{folder}'. Count the {unit} of [both|each|the two].",
            "The {unit} of two files in '{folder}' should be counted: '{a}' and another [one|file].",
            "How long are '{a}' and [another|some other] file in '{folder}', [counted |]in {unit}?",
        ],
        ["I want to know how many {unit} are in '{a}' and in another file of '{folder}'."],
        ["The folder '{folder}' has the file '{a}' and more. Tell me how many {unit} it and one of them have."],
    ),
)
HOW_LONG_LISTED = phrase(
    [
        "How many {unit} does the one with '{part}' in its name have, and how many the one with '{other}'?",
        "Count the {unit} of the one with '{part}' in its name, then of the one with '{other}'.",
        "I [need|want] the number of {unit} of two of them: one has '{part}' in its name, the other '{other}'.",
        "[Can|Could] you count the {unit} [in|of] the [files|ones] with '{part}' and with '{other}' in their names?",
        "One has '{part}' in its name, another [one |]has '{other}'. Count the {unit} of [both|each].",
        "The {unit} of two of them should be counted: the ones [named after|with names like] '{part}' and '{other}'.",
        "In {unit}, how long are the one with '{part}' in its name and the one with '{other}'?",
        "Two of them matter: one is named after '{part}', the other after '{other}'. Count the {unit} of [both|each].",
        "'{part}' is in one of the names, '{other}' in another. Count the {unit} of both[ files|].",
    ],
    ["I want to know how many {unit} are in the one with '{part}' in its name and in the one with '{other}'."],
    ["Tell me how many {unit} the files named after '{part}' and '{other}' have."],
    gap(
        "other",
        "part of the other name",
        [
            "Count the {unit} of the one with '{part}' in its name, then of another one.",
            "I [need|would like] the number of {unit} of two of them: one has '{part}' in its name.",
            "[Can|Could] you count the {unit} [in|of] the file with '{part}' in its name and one more?",
            "One has '{part}' in its name. Count the {unit} of that one and of [another|some other] file.",
            "Count the {unit} of two of them: the one [named after|with a name like] '{part}' and some other.",
            "For the one with '{part}' in its name and for [one more|another|some other], [please |]count the {unit}.",
            "In {unit}, how long are the one with '{part}' in its name and [another|some other] file?",
            "Two of them matter, and one is named after '{part}'. Count the {unit} of [both|each|the two].",
        ],
        ["I want to know how many {unit} are in the one with '{part}' in its name and in another one."],
        ["Tell me how many {unit} the file named after '{part}' and another one have."],
    ),
)
OF_BOTH = phrase(
    [
        "What is the {what} of these two numbers?",
        "[Compute|Tell me] the {what} of the two.",
        "I [need|would like] the {what} of [the two|these two|these two numbers].",
        "[Can|Could] you [compute|tell me] the {what} of [these two|them|the two][, please|]?",
        "[And what|What] is [their {what}|the {what} of them]?",
        "The two numbers have a {what}. [Compute it|Tell me what it is].",
        "It is the {what} of the two that I [need|want to have].",
        "How [large|big] is the {what} of the two[ numbers|]?",
    ],
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
