from __future__ import annotations

import random

from envtune.playground import values


def test_no_noun_is_part_of_another_word_that_names_are_made_of():
    others = (*values.NOUNS, *values.ADJECTIVES, *values.EXTENSIONS)
    assert [(noun, other) for noun in values.NOUNS for other in others if noun != other and noun in other] == []


def test_distinct_files_can_be_told_apart_by_one_word_each():
    files = values.distinct_files(random.Random(0), 30)
    words = [name.split(".")[0].split("_")[0] for name in files]
    assert len(set(words)) == 30
    assert all(sum(word in name for name in files) == 1 for word in words)


def test_values_are_plain_so_that_they_stand_in_a_result_letter_by_letter():
    rng = random.Random(0)
    makers = (values.file_name, values.sentence, values.title, values.user_name, values.password, values.secret)
    made = [make(rng) for make in makers for _ in range(200)]
    assert all(text.isascii() and not set(text) & set("'\"\\{}[]|<>") for text in made)


def test_prices_are_never_whole_and_never_longer_than_two_places():
    rng = random.Random(0)
    prices = [values.price(rng) for _ in range(500)]
    assert all(not price.is_integer() and len(str(price).partition(".")[2]) <= 2 for price in prices)
