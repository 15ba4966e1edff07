"""Exercises in copying: a user says what is what, in any order, and it is written down again as JSON.

What is what is drawn at random, so that nothing helps but to look the value up and to copy it, token by token. Left to
dialogues alone, this takes a small model millions of tokens.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from itertools import count
from typing import Any

from tiny_dialogues import Dialogue

from envtune.playground import values

# Facts in an exercise: one at first, and one more at most after so many exercises.
MOST, EXERCISES_PER_LEVEL = 8, 600
FACTS = (
    "the {key} is '{value}'",
    "{key} '{value}'",
    "'{value}' is the {key}",
    "use '{value}' as the {key}",
    "{key}: {value}",
    "a {key} of {value}",
)
VALUES: tuple[Callable[[random.Random], object], ...] = (
    values.file_name,
    values.name,
    values.sentence,
    values.title,
    values.user_name,
    values.password,
    values.secret,
    values.date,
    values.price,
    lambda rng: rng.choice(values.FIRST_NAMES),
    lambda rng: rng.randint(2, 99_999),
)


def recitations(tokenizer: Any, rng: random.Random) -> Iterator[Dialogue]:
    """Endless. Only the values are learned, with the quotation mark that ends one: the order of the keys is chance."""
    for done in count():
        most = min(MOST, 1 + done // EXERCISES_PER_LEVEL)
        facts = {key: rng.choice(VALUES)(rng) for key in values.distinct_words(rng, rng.randint(1, most))}
        said = ", ".join(rng.choice(FACTS).format(key=key, value=value) for key, value in facts.items())
        pieces = [(f"<|im_start|>user\n{said}.<|im_end|>\n<|im_start|>assistant\n{{", False)]
        for key in rng.sample(list(facts), len(facts)):
            value = facts[key]
            text = isinstance(value, str)
            pieces += [
                (f'"{key}": "' if text else f'"{key}": ', False),
                (str(value), True),
                ('",' if text else ",", True),
            ]
        yield _dialogue(tokenizer, pieces)


def _dialogue(tokenizer: Any, pieces: list[tuple[str, bool]]) -> Dialogue:
    ids: list[int] = []
    sampled: list[bool] = []
    for text, learned in pieces:
        piece = tokenizer.encode(text, add_special_tokens=False)
        ids += piece
        sampled += [learned] * len(piece)
    return Dialogue(tuple(ids), tuple(sampled))
