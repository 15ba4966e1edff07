from __future__ import annotations

import pytest

from tools.tiny_model import tokenizer as tiny_tokenizer


def test_tags_are_single_tokens_that_decoding_shows(learned_tokenizer):
    assert len(learned_tokenizer) <= tiny_tokenizer.VOCABULARY
    for tag in tiny_tokenizer.TAGS:
        assert len(learned_tokenizer.encode(tag, add_special_tokens=False)) == 1
        assert tag not in learned_tokenizer.all_special_tokens


@pytest.mark.parametrize("value", ["sketch_map_12.txt", "market", "tall_tower", "m7k3t9", "Please sort the shelf"])
def test_a_value_has_the_same_tokens_in_a_message_and_in_a_call(learned_tokenizer, value: str):
    def inside(before: str, after: str) -> list[int]:
        ids = [
            learned_tokenizer.encode(text, add_special_tokens=False)
            for text in (before, f"{before}{value}{after}", after)
        ]
        assert ids[1][: len(ids[0])] == ids[0]
        assert ids[1][-len(ids[2]) :] == ids[2]
        return ids[1][len(ids[0]) : -len(ids[2])]

    assert (
        inside("Take '", "'") == inside('{"name": "', '"') == learned_tokenizer.encode(value, add_special_tokens=False)
    )
