"""Exercises in looking up and copying: a user states facts or lists things, and the agent writes them as JSON.

In a list a thing is identified by one of its words, like "the one about the fence" in tasks. All values are drawn at
random, so that the answer can only be looked up and copied, token by token. From dialogues alone a small model learns
this in millions of tokens.
"""

from __future__ import annotations

import json
import random
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import count
from typing import Any

from envtune.playground import values
from tools.tiny_model.dialogues import Dialogue

Draw = Callable[[random.Random], Any]
Asked = tuple[str, dict[str, object]]
"""What a user says, and the value of each key that the agent is asked for."""

# Most facts in an exercise, exercises until the limit rises by one, and rows in the lists of the last exercises.
MOST, EXERCISES_PER_LEVEL, MANY = 8, 600, 20
# Forms of a fact, in the order in which they are introduced: the easiest equals the answer token by token, in the
# hardest the value precedes its key.
FACTS = (
    '"{key}": "{value}"', "{key}: {value}", "the {key} is '{value}'", "{key} '{value}'", "a {key} of {value}",
    "'{value}' is the {key}", "use '{value}' as the {key}",
)  # fmt: skip
# Exercises until a further form of a fact, or kind of row, is introduced.
EXERCISES_PER_FORM = 1_000
SHORT: tuple[Draw, ...] = (
    values.word, values.name, lambda rng: rng.choice(values.FIRST_NAMES), lambda rng: rng.randint(2, 999),
)  # fmt: skip
VALUES: tuple[Draw, ...] = (
    values.file_name, values.name, values.sentence, values.title, values.user_name, values.password, values.secret,
    values.date, values.price, lambda rng: rng.choice(values.FIRST_NAMES), lambda rng: rng.randint(2, 99_999),
)  # fmt: skip
# A row as a fact, whose id precedes the identifying word, and the number of exercises with such rows only.
ROW, ONE_ROW = '{{"id": {value}, "content": "{key}"}}', 2_500
# Questions for a row by a word that no other row has, and the number of exercises with the first and short rows only.
QUESTIONS = (
    "the one about the {}", "the one with '{}' in it", "I mean the one with the {}", "take what has {} in its text",
    "the {} is what it is about",
)  # fmt: skip
ONE_QUESTION = 2_500
ID_KEYS = ("id", "ticket_id", "number", "receiver_id", "order")
TEXT_KEYS = ("content", "title", "message", "text", "note")
OTHER_KEYS = ("user", "priority", "status", "count")
LISTED: tuple[Draw, ...] = (values.file_name, values.sentence, values.title)
# Contents of a row, in the order in which they are introduced: the further the words from the id, the harder.
ROWS: tuple[Draw, ...] = (
    values.word,
    lambda rng: " ".join(values.distinct_words(rng, 2)),
    values.title,
    values.file_name,
    values.sentence,
)


def first_lookups(tokenizer: Any, rng: random.Random) -> Iterator[Dialogue]:
    """Yield endless exercises of one or two facts or things at first and of up to ``MOST`` after many exercises.

    Half of them ask for a value by its key, in the first form only: forms mixed from the start are not learned.
    """
    for done in count():
        most = min(MOST, 1 + done // EXERCISES_PER_LEVEL)
        if rng.random() < 0.5:
            yield exercise(tokenizer, rng, *stated(rng, rng.randint(2, max(2, most)), SHORT, FACTS[:1]))
        else:
            yield _recitation(tokenizer, rng, most)


def recitations(tokenizer: Any, rng: random.Random) -> Iterator[Dialogue]:
    """Yield endless exercises of up to ``MOST`` facts or things."""
    while True:
        yield _recitation(tokenizer, rng, MOST)


def _recitation(tokenizer: Any, rng: random.Random, most: int) -> Dialogue:
    return exercise(tokenizer, rng, *rng.choice((stated, listed))(rng, rng.randint(1, most)))


def associations(tokenizer: Any, rng: random.Random) -> Iterator[Dialogue]:
    """Yield endless exercises in values by key: two forms of a fact at first, later more, with lists of rows between.

    A model that sees all forms from the start copies any value of the right kind instead of the value of the key.
    """
    for done in count():
        level, facts, drawn = 2 + done // EXERCISES_PER_FORM, rng.randint(2, MOST), rng.random()
        if drawn < 0.6:
            yield exercise(tokenizer, rng, *stated(rng, facts, SHORT, FACTS[:level]))
        elif drawn < 0.8:
            yield exercise(tokenizer, rng, *listed(rng, facts, ROWS[: level - 1], numbers_below=100_000))
        else:
            yield exercise(tokenizer, rng, *rng.choice((stated, listed))(rng, facts))


def row_lookups(tokenizer: Any, rng: random.Random) -> Iterator[Dialogue]:
    """Yield endless exercises in ids of rows: short rows as facts first, later lists, with other exercises between.

    A model learns to find ids of digits, which all rows have, only after ids of one word.
    """
    for done in count():
        things, level = rng.randint(2, MOST), (done - ONE_ROW) // EXERCISES_PER_FORM
        drawn = rng.random()
        if done < ONE_ROW or drawn < 0.2:
            yield exercise(tokenizer, rng, *stated(rng, things, SHORT, (ROW,)))
        elif drawn < 0.7:
            kinds, most = ROWS[: max(1, level - 1)], (1_000, 10_000, 100_000)[min(level, 2)]
            yield exercise(tokenizer, rng, *listed(rng, things, kinds, most))
        else:
            yield _recitation(tokenizer, rng, MOST)


def questions(tokenizer: Any, rng: random.Random) -> Iterator[Dialogue]:
    """Yield endless questions for a row in words, in which the id does not follow the identifying word."""
    for done in count():
        things, drawn = rng.randint(2, MOST), rng.random()
        if done < ONE_QUESTION or drawn < 0.2:
            yield questioned(tokenizer, rng, things, ROWS[:1], QUESTIONS[:1], plain=True)
        else:
            yield _mixed(tokenizer, rng, MOST)


def mixed_exercises(tokenizer: Any, rng: random.Random) -> Iterator[Dialogue]:
    """Yield endless exercises of all kinds, against forgetting, with as many rows as long contexts have."""
    while True:
        yield _mixed(tokenizer, rng, MANY)


def _mixed(tokenizer: Any, rng: random.Random, most_rows: int) -> Dialogue:
    drawn = rng.random()
    if drawn < 0.6:
        return questioned(tokenizer, rng, rng.randint(2, most_rows), ROWS, QUESTIONS, plain=False)
    if drawn < 0.75:
        return exercise(tokenizer, rng, *listed(rng, rng.randint(2, MOST), ROWS, numbers_below=100_000))
    return _recitation(tokenizer, rng, MOST)


def questioned(
    tokenizer: Any, rng: random.Random, things: int, kinds: Sequence[Draw], forms: Sequence[str], plain: bool
) -> Dialogue:
    """Return a list and questions for the ids of up to four of its rows; ``plain`` rows consist of id and text only."""
    id_key, text_key = (ID_KEYS[0], TEXT_KEYS[0]) if plain else (rng.choice(ID_KEYS), rng.choice(TEXT_KEYS))
    coded = not plain and rng.random() < 0.3
    numbers = [f"USR{n}" if coded else n for n in rng.sample(range(100, 1_000 if coded else 10_000), things)]
    texts = [rng.choice(kinds)(rng) for _ in range(things)]
    others = [] if plain else rng.sample(OTHER_KEYS, rng.randint(0, 2))
    shown = [
        {id_key: number, **dict(_others(others[:1], rng)), text_key: text, **dict(_others(others[1:], rng))}
        for number, text in zip(numbers, texts, strict=True)
    ]
    pieces = [(f"<|im_start|>user\n{json.dumps(shown)}<|im_end|>\n", False)]
    asked = [(number, word) for number, word in zip(numbers, _words_alone(texts, rng), strict=True) if word]
    for number, word in rng.sample(asked, min(4, len(asked))):
        question = rng.choice(forms).format(word)
        begun = f'<|im_start|>user\n{question}<|im_end|>\n<|im_start|>assistant\n{{"{id_key}": '
        pieces += [(begun, False), (json.dumps(number), True), ("}", True), ("<|im_end|>\n", False)]
    return written(tokenizer, pieces)


def _others(keys: Sequence[str], rng: random.Random) -> Iterator[tuple[str, object]]:
    for key in keys:
        yield key, rng.choice(values.FIRST_NAMES) if key == "user" else rng.randint(1, 99)


def exercise(tokenizer: Any, rng: random.Random, said: str, answers: Mapping[str, object]) -> Dialogue:
    """Return a dialogue in which only values and their closing quotes are learned: keys are in random order."""
    pieces = [(f"<|im_start|>user\n{said}.<|im_end|>\n<|im_start|>assistant\n{{", False)]
    for key in rng.sample(list(answers), len(answers)):
        quote = '"' if isinstance(answers[key], str) else ""
        pieces += [(f'"{key}": {quote}', False), (str(answers[key]), True), (f"{quote},", True)]
    return written(tokenizer, pieces)


def stated(rng: random.Random, facts: int, kinds: Sequence[Draw] = VALUES, forms: Sequence[str] = FACTS) -> Asked:
    """Return facts in sentences, and the value of each key."""
    answers = {key: rng.choice(kinds)(rng) for key in values.distinct_words(rng, facts)}
    return ", ".join(rng.choice(forms).format(key=key, value=value) for key, value in answers.items()), answers


def listed(rng: random.Random, things: int, kinds: Sequence[Draw] = LISTED, numbers_below: int | None = None) -> Asked:
    """Return a list, and the value of each key: a word that only one thing has stands for its text or its id."""
    texts = [rng.choice(kinds)(rng) for _ in range(things)]
    numbers = rng.sample(range(2, numbers_below or 100_000), things)
    numbered = numbers_below is not None or rng.random() < 0.5
    answers: dict[str, object] = {}
    for number, text, word in zip(numbers, texts, _words_alone(texts, rng), strict=True):
        if word:
            answers[word] = number if numbered else text
    rows = [{"id": number, "content": text} for number, text in zip(numbers, texts, strict=True)]
    return json.dumps(rows if numbered else texts), answers


def _words_alone(texts: Sequence[str], rng: random.Random) -> Iterator[str | None]:
    """Yield for each text a word that no other text has; None without such a word."""
    for text in texts:
        others = " ".join(texts).lower().replace(text.lower(), "", 1)
        alone = sorted(word for word in set(_words(text)) if word not in _words(others))
        yield rng.choice(alone) if alone else None


def _words(text: str) -> list[str]:
    return re.findall("[a-z]{3,}", text.lower())


def written(tokenizer: Any, pieces: list[tuple[str, bool]]) -> Dialogue:
    """Return the dialogue of ``pieces``: texts, tokenized separately, and whether each is learned."""
    ids: list[int] = []
    sampled: list[bool] = []
    for text, learned in pieces:
        piece = tokenizer.encode(text, add_special_tokens=False)
        ids += piece
        sampled += [learned] * len(piece)
    return Dialogue(tuple(ids), tuple(sampled))
