"""Exercises in looking up and copying: a user says what is what, or lists things, and it is written down as JSON.

In a list a thing is asked for by one of its words, as tasks ask for "the one about the fence". All is drawn at random,
so that nothing helps but to look the value up and to copy it, token by token. Left to dialogues alone, this takes a
small model millions of tokens.
"""

from __future__ import annotations

import json
import random
import re
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
LISTED: tuple[Callable[[random.Random], str], ...] = (values.file_name, values.sentence, values.title)


def recitations(tokenizer: Any, rng: random.Random) -> Iterator[Dialogue]:
    """Endless. Only the values are learned, with the quotation mark that ends one: the order of the keys is chance."""
    for done in count():
        most = min(MOST, 1 + done // EXERCISES_PER_LEVEL)
        said, answers = rng.choice((told, listed))(rng, rng.randint(1, most))
        pieces = [(f"<|im_start|>user\n{said}.<|im_end|>\n<|im_start|>assistant\n{{", False)]
        for key in rng.sample(list(answers), len(answers)):
            value = answers[key]
            text = isinstance(value, str)
            pieces += [
                (f'"{key}": "' if text else f'"{key}": ', False),
                (str(value), True),
                ('",' if text else ",", True),
            ]
        yield _dialogue(tokenizer, pieces)


def told(rng: random.Random, facts: int) -> tuple[str, dict[str, object]]:
    """What is said, and the value of each key: facts in sentences."""
    answers = {key: rng.choice(VALUES)(rng) for key in values.distinct_words(rng, facts)}
    return ", ".join(rng.choice(FACTS).format(key=key, value=value) for key, value in answers.items()), answers


def listed(rng: random.Random, things: int) -> tuple[str, dict[str, object]]:
    """What is said, and the value of each key: a list in which a word of one thing alone stands for it, or its id."""
    texts = [rng.choice(LISTED)(rng) for _ in range(things)]
    numbers = rng.sample(range(2, 100_000), things)
    numbered = rng.random() < 0.5
    answers: dict[str, object] = {}
    for number, text in zip(numbers, texts, strict=True):
        others = " ".join(texts).lower().replace(text.lower(), "", 1)
        alone = sorted(word for word in set(_words(text)) if word not in _words(others))
        if alone:
            answers[rng.choice(alone)] = number if numbered else text
    rows = [{"id": number, "content": text} for number, text in zip(numbers, texts, strict=True)]
    return json.dumps(rows if numbered else texts), answers


def _words(text: str) -> list[str]:
    return re.findall("[a-z]{3,}", text.lower())


def _dialogue(tokenizer: Any, pieces: list[tuple[str, bool]]) -> Dialogue:
    ids: list[int] = []
    sampled: list[bool] = []
    for text, learned in pieces:
        piece = tokenizer.encode(text, add_special_tokens=False)
        ids += piece
        sampled += [learned] * len(piece)
    return Dialogue(tuple(ids), tuple(sampled))
