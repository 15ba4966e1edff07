from __future__ import annotations

import random
import re
from collections.abc import Iterator
from importlib import import_module
from pkgutil import iter_modules

import pytest

from envtune.playground import phrases, wording
from envtune.playground.wording import Phrase, Wording, expansions, quoted, said
from envtune.task import Split

MODULES = [import_module(f"{phrases.__name__}.{found.name}") for found in iter_modules(phrases.__path__)]


def all_wordings() -> Iterator[tuple[str, Wording]]:
    for module in (wording, *MODULES):
        for name, value in vars(module).items():
            if isinstance(value, Wording):
                yield f"{module.__name__}.{name}", value
            elif isinstance(value, Phrase):
                yield f"{module.__name__}.{name}", value.wording
                if value.gap:
                    yield f"{module.__name__}.{name} without {value.gap.slot}", value.gap.wording


WORDINGS = dict(all_wordings())


def normal(text: str) -> str:
    """Without capitals and punctuation: what differs in these alone counts as the same."""
    return " ".join(re.findall(r"\{?\w+\}?", text.lower()))


def test_a_pattern_stands_for_each_combination_of_its_alternatives():
    assert list(expansions(["[Move|Put] {a}[, please|]."])) == [
        "Move {a}, please.",
        "Move {a}.",
        "Put {a}, please.",
        "Put {a}.",
    ]


def test_slots_are_filled_as_people_write():
    pattern = Wording(train=("{a}, {b} and {c}",), val=("x",), test=("y",))
    text = pattern.say(Split.TRAIN, random.Random(0), {"a": 12.0, "b": 12.5, "c": ["p", "q", "r"]})
    assert text == "12, 12.5 and p, q and r"
    assert (said(["p"]), quoted("p"), quoted(7)) == ("p", "'p'", "7")


def test_no_two_splits_share_a_sentence():
    splits_of: dict[str, set[str]] = {}
    for found in WORDINGS.values():
        for split in Split:
            for text in expansions(found.of(split)):
                splits_of.setdefault(normal(text), set()).add(split)
    shared = {text for text, splits in splits_of.items() if len(splits) > 1}
    assert len(splits_of) > 1_000
    # An opening may be left out in every split.
    assert shared == {""}


def test_held_out_sentences_are_made_of_words_that_training_sentences_have():
    def words(split: Split) -> set[str]:
        texts = (text for found in WORDINGS.values() for text in expansions(found.of(split)))
        return {word for text in texts for word in re.findall("[a-z]+", re.sub(r"\{\w+\}", "", text.lower()))}

    assert (words(Split.VAL) | words(Split.TEST)) - words(Split.TRAIN) == set()


@pytest.mark.parametrize("name", WORDINGS)
def test_every_pattern_of_a_wording_has_the_same_slots(name: str):
    slots = {
        frozenset(re.findall(r"\{(\w+)\}", text)) for split in Split for text in expansions(WORDINGS[name].of(split))
    }
    most = frozenset().union(*slots)
    # A file or ticket may be called "it", if it is the one that was spoken of before.
    assert all(most - found <= {"file"} for found in slots)


@pytest.mark.parametrize("module", MODULES, ids=lambda module: module.__name__.rpartition(".")[2])
def test_a_gap_leaves_out_its_slot_and_no_other(module: object):
    for name, value in vars(module).items():
        if isinstance(value, Phrase) and value.gap:
            whole = {slot for text in value.wording.train for slot in re.findall(r"\{(\w+)\}", text)}
            vague = {slot for text in value.gap.wording.train for slot in re.findall(r"\{(\w+)\}", text)}
            assert value.gap.slot in whole, name
            assert value.gap.slot not in vague, name
            assert vague <= whole, name
