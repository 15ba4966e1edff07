from __future__ import annotations

import random
import re
from pathlib import Path

import pytest
from transformers import AutoTokenizer

from tools.tiny_model import offers as tiny_offers

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def tokenizer():
    return AutoTokenizer.from_pretrained(ROOT / "envtune" / "models" / "tiny")


def test_a_tool_is_said_not_to_be_offered_where_no_document_names_it_and_only_that_is_learned(tokenizer):
    stream = tiny_offers.offers(tokenizer, random.Random(0))
    said = {True: 0, False: 0}
    for _ in range(40):
        item = next(stream)
        system, *asked = tokenizer.decode(item.ids).split("<|im_start|>assistant\n")
        learned = tokenizer.decode([id_ for id_, counts in zip(item.ids, item.sampled, strict=True) if counts])
        assert learned == "".join(re.search(r"(?:I use|Now) \w+(.*?</think>)", text)[1] for text in asked)
        for text in asked:
            name, rest = re.search(r"<think>(?:I use|Now) (\w+)(.*?)</think>", text).groups()
            offered = re.search(rf"^{name}\(", system, re.MULTILINE) is not None
            assert rest == ("." if offered else ", but it is not offered.")
            said[offered] += 1
    assert min(said.values()) > 40


def test_a_quarter_of_all_exercises_is_about_documents(tokenizer):
    stream = tiny_offers.all_exercises(tokenizer, random.Random(0))
    texts = [tokenizer.decode(next(stream).ids) for _ in range(400)]
    assert 70 < sum(text.startswith("<|im_start|>system\nTools:") for text in texts) < 130
