"""Random values of generated tasks: names, words, numbers and texts from pools of words.

All splits share the pools; the values (`oak_ledger_47.txt`) rarely repeat. They are plain ASCII without quotes, so that
they read the same in a message, a result and a call.
"""

from __future__ import annotations

import random
from collections.abc import Callable


def _words(text: str) -> tuple[str, ...]:
    return tuple(text.split())


FIRST_NAMES = _words(
    "Ada Ben Cora Dan Elsa Finn Gina Hugo Iris Jack Kara Liam Mona Nils Olga Paul Quinn Rosa Sven Tara Umar Vera Walt "
    "Xenia Yuri Zoe Anton Bella Carl Dora Emil Fiona Gabe Hana Ivan Julia Kofi Lena Marco Nora Omar Petra Rafi Sofia "
    "Tomas Uma Viktor Wendy Yara Zane"
)
LAST_NAMES = _words(
    "Adler Brandt Costa Duran Evans Fischer Garcia Holt Ito Jensen Kowal Lund Moretti Novak Okafor Perez Quist Rossi "
    "Silva Tanaka Ueda Vogel Weber Young Zeller"
)
NOUNS = _words(
    "anchor apple badge basket bridge budget cable candle canvas castle cedar clock copper cotton crate desk diary "
    "engine feather fence filter forest garden glass guide hammer harbor invoice island jacket kettle ladder lamp "
    "lantern ledger letter library lobby map marble market meadow menu mirror museum needle notebook oak orchard paint "
    "paper parcel pencil photo piano pillow planet plant pocket printer puzzle radio recipe report ribbon river roof "
    "salad scarf sensor shelf signal sketch speaker station stone studio survey table teapot ticket tower "
    "trailer tunnel umbrella valley violin wagon wallet window winter"
)
ADJECTIVES = _words(
    "amber annual basic blue brave bright calm central clean cold daily dark early empty final fresh gentle golden "
    "green hidden large late light local lucky new north old open plain proud quick quiet rapid red round short silver "
    "simple small soft south spare steady strong sunny tall thin urgent warm west white wide young"
)
VERBS = _words("check clean close collect fix move open order paint pack print review sell send sort test wash")
DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
EXTENSIONS = ("txt", "md", "csv", "doc", "pdf", "log")
LETTERS = "abcdefghjkmnpqrstuvwxyz"


def word(rng: random.Random) -> str:
    """Return a noun."""
    return rng.choice(NOUNS)


def distinct_words(rng: random.Random, count: int) -> list[str]:
    """Return different nouns."""
    return rng.sample(NOUNS, count)


def name(rng: random.Random) -> str:
    """Return a name of one or two parts: ``harbor``, ``old_harbor``, ``harbor_12``."""
    shape = rng.randrange(3)
    if shape == 0:
        return word(rng)
    return f"{rng.choice(ADJECTIVES)}_{word(rng)}" if shape == 1 else f"{word(rng)}_{rng.randint(2, 99)}"


def distinct_names(rng: random.Random, count: int) -> list[str]:
    """Return names with different first words, so that none is part of another."""
    return [_varied(noun, rng) for noun in distinct_words(rng, count)]


def file_name(rng: random.Random) -> str:
    """Return a file name with an extension."""
    return f"{name(rng)}.{rng.choice(EXTENSIONS)}"


def distinct_files(rng: random.Random, count: int) -> list[str]:
    """Return file names, each with a word that none of the others has."""
    return [f"{noun}.{rng.choice(EXTENSIONS)}" for noun in distinct_names(rng, count)]


def sentence(rng: random.Random) -> str:
    """Return three to six words for a message or a file."""
    return rng.choice(_SENTENCES)(rng)


def title(rng: random.Random) -> str:
    """Return a heading of two to four words."""
    return rng.choice(_TITLES)(rng)


def user_name(rng: random.Random) -> str:
    """Return a user name."""
    return f"{rng.choice(FIRST_NAMES).lower()}_{word(rng)}"


def password(rng: random.Random) -> str:
    """Return a password."""
    return f"{word(rng)}{rng.randint(10, 99)}"


def secret(rng: random.Random) -> str:
    """Return a token of alternating letters and digits."""
    return "".join(f"{rng.choice(LETTERS)}{rng.randint(2, 9)}" for _ in range(3))


def date(rng: random.Random) -> str:
    """Return a date of 2025 or 2026, as YYYY-MM-DD."""
    return f"{rng.choice((2025, 2026))}-{rng.randint(1, 12):02}-{rng.randint(1, 28):02}"


def price(rng: random.Random, low: int = 20, high: int = 900) -> float:
    """Return a price with one or two decimal places, never a whole number."""
    return rng.randint(low, high) + rng.randint(1, 99) / 100


def decimal(rng: random.Random, low: int, high: int) -> float:
    """Return a number with one decimal place, never a whole number."""
    return rng.randint(low, high) + rng.randint(1, 9) / 10


def _varied(noun: str, rng: random.Random) -> str:
    shape = rng.randrange(3)
    if shape == 0:
        return noun
    return f"{noun}_{rng.choice(ADJECTIVES)}" if shape == 1 else f"{noun}_{rng.randint(2, 99)}"


_SENTENCES: tuple[Callable[[random.Random], str], ...] = (
    lambda rng: f"The {word(rng)} is {rng.choice(ADJECTIVES)}",
    lambda rng: f"Please {rng.choice(VERBS)} the {rng.choice(ADJECTIVES)} {word(rng)}",
    lambda rng: f"We {rng.choice(VERBS)} the {word(rng)} on {rng.choice(DAYS)}",
    lambda rng: f"{rng.choice(VERBS)} the {word(rng)} before {rng.choice(DAYS)}",
    lambda rng: f"{rng.choice(ADJECTIVES)} {word(rng)} at gate {rng.randint(2, 40)}",
)
_TITLES: tuple[Callable[[random.Random], str], ...] = (
    lambda rng: f"{rng.choice(ADJECTIVES)} {word(rng)}".title(),
    lambda rng: f"{word(rng).capitalize()} in room {rng.randint(2, 60)}",
    lambda rng: f"{word(rng).capitalize()} {rng.choice(VERBS)}",
)
