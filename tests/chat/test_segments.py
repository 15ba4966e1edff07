"""Messages that are encoded one by one have the ids of the conversation that is encoded in one go."""

from __future__ import annotations

from typing import Any

import pytest
from model_templates import GEMMA, LLAMA_2, MISTRAL, QWEN, ZEPHYR, byte_level, fallback, unigram
from toy_world import STYLE

from envtune.chat.segments import Segments
from envtune.chat.template import Template
from envtune.chat.trained_conversation import differences_from_own, trained_conversation

ENDS = {LLAMA_2: "</s>", MISTRAL: "</s>", GEMMA: "<end_of_turn>", ZEPHYR: "</s>", QWEN: "<|im_end|>"}
NAMES = {LLAMA_2: "llama 2", MISTRAL: "mistral", GEMMA: "gemma", ZEPHYR: "zephyr", QWEN: "qwen"}
INSERTS = ("normalizer", "nothing", "always", "first", "never")


def whole(fast: Any, text: str) -> list[int]:
    return fast.encode(text, add_special_tokens=False)


@pytest.mark.parametrize("chat_template", ENDS, ids=NAMES.values())
@pytest.mark.parametrize("inserts", [*INSERTS, "unigram always", "unigram first", "unigram never", "byte level"])
def test_a_conversation_has_the_ids_of_its_text_in_one_go(chat_template: str, inserts: str) -> None:
    end, scheme = ENDS[chat_template], inserts.removeprefix("unigram ")
    if inserts == "byte level":
        fast = byte_level(chat_template, end)
    else:
        fast = (unigram if "unigram" in inserts else fallback)(chat_template, scheme, end)
    trained = trained_conversation(Template(fast, STYLE))
    assert list(trained.ids) == whole(fast, trained.text)


def test_a_seam_that_cannot_be_mended_is_named_with_the_number_of_ids() -> None:
    fast = unigram(LLAMA_2, "never", split=False)
    template = Template(fast, STYLE)
    (line,) = (line for line in differences_from_own(template) if "in one go" in line)
    trained = trained_conversation(template)
    assert list(trained.ids) != whole(fast, trained.text)
    count = int(line.split()[0])
    assert f"{count} of the {len(trained.ids)} tokens of a test conversation would differ if it were encoded" in line
    assert 5 < count < 100
    assert " behind ['?', '▁[', '/']" in line


def test_a_text_inside_another_one_gets_no_mark_of_its_beginning() -> None:
    for inserts in ("normalizer", "always", "first"):
        fast = fallback(ZEPHYR, inserts)
        segments = Segments(fast)
        assert fast.convert_ids_to_tokens(segments.first("a"))[0].startswith("▁")
        assert not fast.convert_ids_to_tokens(segments.further("a"))[0].startswith("▁")


def test_the_text_behind_a_control_token_of_a_later_piece_is_encoded_as_elsewhere() -> None:
    for inserts in INSERTS:
        fast = fallback(ZEPHYR, inserts)
        assert [*whole(fast, "a"), *Segments(fast).further("b</s><|user|>c")] == whole(fast, "ab</s><|user|>c")


def test_a_message_directly_behind_a_control_token_begins_like_the_first_text_where_the_tokenizer_does_so() -> None:
    begins = {inserts: Segments(fallback(ZEPHYR, inserts)).begins_at("<|user|>") for inserts in INSERTS}
    assert begins == {"normalizer": True, "nothing": False, "always": True, "first": False, "never": False}
    assert not Segments(fallback(ZEPHYR, "always")).begins_at("<|user|>\n")


def test_the_unknown_token_does_not_begin_a_text() -> None:
    fast = unigram(ZEPHYR, "always")
    ids = Segments(fast).further("a日a")
    assert fast.unk_token_id in ids
    assert ids == whole(fast, "<|user|>xa日a")[len(whole(fast, "<|user|>x")) :]
