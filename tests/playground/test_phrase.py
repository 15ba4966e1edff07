from __future__ import annotations

import json
import random
import re
from pathlib import Path

import pytest
from readable import expansions

from envtune.errors import UserError
from envtune.playground import phrase
from envtune.playground.phrase import Wording, quoted, read_phrases, said
from envtune.task import Split

FOLDER = Path(phrase.__file__).parent / "phrases"
PHRASES = {
    f"{file.stem}.{name}": found for file in FOLDER.glob("*.json") for name, found in read_phrases(file.stem).items()
}
WORDINGS: dict[str, Wording] = {
    **PHRASES,
    **{f"{name} without {found.gap.slot}": found.gap for name, found in PHRASES.items() if found.gap},
}


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


@pytest.mark.parametrize("name", [name for name, found in PHRASES.items() if found.gap])
def test_a_gap_uses_no_slot_that_its_phrase_lacks(name: str):
    found = PHRASES[name]
    assert found.gap is not None
    whole, vague = (set(re.findall(r"\{(\w+)\}", " ".join(texts))) for texts in (found.train, found.gap.train))
    assert vague < whole


def test_every_phrase_is_used_by_a_storyline():
    sources = "".join(file.read_text() for file in FOLDER.parent.rglob("*.py"))
    assert [name for name in PHRASES if f'"{name.split(".")[1]}"' not in sources] == []


GAP = {"slot": "a", "what": "value", "train": ["x"], "val": ["y"], "test": ["z"]}


@pytest.mark.parametrize(
    ("entry", "fault"),
    [
        ({"train": ["x"], "val": ["y"]}, "hello.test is not valid: Field required"),
        ({"train": [], "val": ["y"], "test": ["z"]}, "hello.train is not valid: Tuple should have at least 1 item"),
        ({"train": ["[x"], "val": ["y"], "test": ["z"]}, "hello.train.0 is not valid: .* must enclose alternatives"),
        ({"train": ["{x"], "val": ["y"], "test": ["z"]}, "hello.train.0 is not valid: .* must enclose alternatives"),
        ({"train": ["x"], "val": ["y"], "test": ["z"], "dev": []}, "hello.dev is not valid: Unexpected keyword"),
        ({"train": ["x"], "val": ["y"], "test": ["z"], "gap": GAP}, "{a} must be in every pattern of the phrase"),
    ],
)
def test_a_bad_phrase_file_is_refused_with_file_and_place(
    entry: dict, fault: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(phrase, "files", lambda package: tmp_path)
    (tmp_path / "phrases").mkdir()
    (tmp_path / "phrases" / "made.json").write_text(json.dumps({"hello": entry}))
    with pytest.raises(UserError, match=f"made.json: .*{fault}"):
        read_phrases("made")


def test_a_missing_phrase_file_is_refused():
    with pytest.raises(UserError, match=r"nowhere.json cannot be read"):
        read_phrases("nowhere")
