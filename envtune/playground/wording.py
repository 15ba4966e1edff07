"""How users say things: patterns with slots and alternatives, of their own for each split.

A pattern is a text such as ``[Move|Put] '{file}' into '{folder}'.``: one of the bracketed alternatives is taken, and
the slots are filled. Phrases are collected in ``phrases/``; what one means stands in the storyline that uses it.
"""

from __future__ import annotations

import itertools
import random
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

from envtune.task import Split

Patterns = Sequence[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Wording:
    """The patterns of each split. No pattern of one split may say what a pattern of another one can say."""

    train: tuple[str, ...]
    val: tuple[str, ...]
    test: tuple[str, ...]

    def of(self, split: Split) -> tuple[str, ...]:
        return {Split.TRAIN: self.train, Split.VAL: self.val, Split.TEST: self.test}[split]

    def say(self, split: Split, rng: random.Random, slots: Mapping[str, Any]) -> str:
        """One of the split's patterns with one of its alternatives, the slots filled."""
        parts = _parts(rng.choice(self.of(split)))
        text = "".join(part[0] if len(part) == 1 else rng.choice(part) for part in parts)
        return text.format_map({name: said(value) for name, value in slots.items()})


@dataclass(frozen=True, slots=True)
class Gap:
    """How a phrase is said without the value of ``slot``, which the user calls ``what`` when asked for it."""

    slot: str
    what: str
    wording: Wording


@dataclass(frozen=True, slots=True)
class Phrase:
    """What a user asks for in one sentence or two; with a ``gap``, a value that may be left out at first."""

    wording: Wording
    gap: Gap | None = None


def phrase(train: Patterns, val: Patterns, test: Patterns, gap: Gap | None = None) -> Phrase:
    return Phrase(Wording(train=tuple(train), val=tuple(val), test=tuple(test)), gap)


def gap(slot: str, what: str, train: Patterns, val: Patterns, test: Patterns) -> Gap:
    return Gap(slot, what, Wording(train=tuple(train), val=tuple(val), test=tuple(test)))


# The value that was missing, in a message of its own.
SUPPLY = Wording(
    train=(
        "[Sorry, the|Oh, the|Right, the|Of course, the|The] {what} is {value}.",
        "[Take|Use] {value} as the {what}[, please|].",
        "I forgot [to say|that]: the {what} is {value}.",
        "Let the {what} be {value}.",
        "I [want|would like] the {what} to be {value}.",
        "The {what} that you need? [It is|That is|It should be] {value}.",
        "[You need|You asked for] the {what}: [here it is, |it is |]{value}.",
        "I [have|want|would like] {value} for the {what}[, please|].",
        "[Can|Could] you [take|use] {value} for the {what}?",
        "[Sorry|Right|Of course], I [mean|meant] {value} as the {what}.",
        "The {what} should be {value}[, please|].",
    ),
    val=("[Of course|Right]: {value} is the {what}.",),
    test=("As the {what}, [please take|take] {value}.",),
)
# What may stand before a request: at the beginning of a conversation, and later.
OPENING = Wording(
    train=(
        *[""] * 5,
        "[Hello|Hi|Hello there]. ",
        "Good day, I need your help this morning. ",
        "I have a request. ",
        "[Good evening|Good afternoon]. ",
        "[Hi|Hello], [I need some help|there is something to do|I have some work for you]. ",
        "[I have|There is] [something|some work] for you. ",
        "[Can|Could] you help me[ today|]? ",
        "Let us [begin|start]. ",
        "[Today|This morning] I [need|want] some things done. ",
    ),
    val=("", "Good [morning|day]. "),
    test=("", "Here is a request. "),
)
LINK = Wording(
    train=(
        *[""] * 5,
        "[Good|Great|Thank you|Well done]. ",
        "One more thing: ",
        "[Next|Now|After that]: ",
        "[Perfect|Very good|Nice work|That is fine]. ",
        "[Then|And then|And now]: ",
        "There is [more to do|something else]. ",
        "[I have|I need] something else. ",
        "[Thanks for that|Thank you, that helps|Thank you, good work]. ",
        "[While you are at it|If you can]: ",
    ),
    val=("", "[Good, thank you|All right]. "),
    test=("", "[And the next thing|Another request]: "),
)
# Who the user is, where a tool wants to know it first.
CREDENTIALS = Phrase(
    Wording(
        train=(
            "My [user name|username] is '{user}' and my password is '{password}'.",
            "[Log in|Sign in] as '{user}' with the password '{password}'.",
            "My password is '{password}', [user name|username] '{user}'.",
            "My login is '{user}', the password '{password}'.",
            "[Can|Could] you [log|sign] me in as '{user}'? [My|The] password is '{password}'.",
            "I am '{user}', and [my password is|the password is] '{password}'.",
            "[Use|Take] [the|my] password '{password}' and the [user name|username] '{user}' to [log|sign] in.",
            "I need to be [logged|signed] in: '{user}' is my [user name|username], '{password}' my password.",
            "You [will need|need] my password '{password}' and my [user name|username] '{user}'.",
            "My account is [named |]'{user}', [and |]its password is '{password}'.",
            "'{user}' with the password '{password}' is [my login|how I log in].",
        ),
        val=("For the login: username '{user}', password '{password}'.",),
        test=("The [username|user name] to log in with is '{user}', the password '{password}'.",),
    )
)


def said(value: Any) -> str:
    """A value as users write it: whole numbers without a point, a list with "and" before its last item."""
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    if isinstance(value, list):
        items = [said(item) for item in value]
        return items[0] if len(items) == 1 else f"{', '.join(items[:-1])} and {items[-1]}"
    return str(value)


def quoted(value: Any) -> str:
    """As ``said``, a text between quotes."""
    return f"'{value}'" if isinstance(value, str) else said(value)


def expansions(patterns: Sequence[str]) -> Iterator[str]:
    """Every text that the patterns stand for, slots unfilled."""
    for pattern in patterns:
        yield from map("".join, itertools.product(*_parts(pattern)))


@cache
def _parts(pattern: str) -> tuple[tuple[str, ...], ...]:
    """The pattern's pieces in order, each with its alternatives."""
    return tuple(tuple(part.split("|")) for part in re.split(r"[\[\]]", pattern))
