from __future__ import annotations

import json
import random
import re

from tools.tiny_model import recitations as tiny_recitations


def test_an_exercise_asks_for_the_values_that_the_user_said_and_grows(learned_tokenizer):
    stream = tiny_recitations.first_lookups(learned_tokenizer, random.Random(0))
    level = tiny_recitations.EXERCISES_PER_LEVEL
    drawn = [next(stream) for _ in range(4 * level)]
    for item in drawn[::50]:
        said, answer = learned_tokenizer.decode(item.ids).split("<|im_start|>assistant\n{")
        asked = re.findall(r'"(\w+)": (?:"(.*?)"|([\d.]+)),', answer)
        learned = learned_tokenizer.decode([id_ for id_, counts in zip(item.ids, item.sampled, strict=True) if counts])
        assert learned == "".join(f'{text}",' if text else f"{number}," for _, text, number in asked)
        assert all(key in said.lower() and (text or number) in said for key, text, number in asked)
    sizes = [learned_tokenizer.decode(item.ids).split("<|im_start|>assistant\n{")[1].count('": ') for item in drawn]
    # Two facts at least where it is asked whose value it is.
    grown = [set(sizes[start : start + level]) for start in (0, level, 2 * level, 3 * level)]
    assert grown == [{1, 2}, {1, 2}, {1, 2, 3}, {1, 2, 3, 4}]


def test_the_first_lookups_ask_for_a_value_by_a_key_written_alike(learned_tokenizer):
    stream = tiny_recitations.first_lookups(learned_tokenizer, random.Random(0))
    said = [learned_tokenizer.decode(next(stream).ids).split("<|im_end|>")[0].split("user\n")[1] for _ in range(300)]
    alike = [text for text in said if re.fullmatch(r'("\w+": "[^"]+", )+"\w+": "[^"]+"\.', text)]
    assert 0.4 < len(alike) / len(said) < 0.6


def test_forms_of_facts_and_kinds_of_rows_come_in_one_by_one(learned_tokenizer, monkeypatch):
    monkeypatch.setattr(tiny_recitations, "EXERCISES_PER_FORM", 200)
    stream = tiny_recitations.associations(learned_tokenizer, random.Random(0))
    said = [learned_tokenizer.decode(next(stream).ids).split("<|im_end|>")[0].split("user\n")[1] for _ in range(1400)]

    def shares(texts: list[str]) -> list[float]:
        found = ("^the |, the ", "^use |, use ", '"id": ', '"id": [^}]*[.][a-z]+"')
        return [sum(re.search(pattern, text) is not None for text in texts) / len(texts) for pattern in found]

    # Some of the forms so far are in 60% of exercises, rows in 20%; all of both are in the other 20% from the start.
    third_form, last_form, rows, files = shares(said[:200])
    assert max(third_form, last_form) < 0.15
    assert rows > 0.2
    assert files < 0.05
    third_form, last_form, _, _ = shares(said[200:400])
    assert third_form > 0.3 > 0.15 > last_form
    _, last_form, _, files = shares(said[1200:])
    assert last_form > 0.3
    assert files > 0.05


def test_rows_are_facts_at_first_and_then_lists_whose_ids_and_texts_grow(learned_tokenizer, monkeypatch):
    monkeypatch.setattr(tiny_recitations, "ONE_ROW", 50)
    monkeypatch.setattr(tiny_recitations, "EXERCISES_PER_FORM", 100)
    stream = tiny_recitations.row_lookups(learned_tokenizer, random.Random(0))
    said = [learned_tokenizer.decode(next(stream).ids).split("<|im_end|>")[0].split("user\n")[1] for _ in range(700)]
    assert all(text.startswith('{"id": ') for text in said[:50])
    # Words alone; ids with up to 3, 4 and 5 digits. A fifth of them are facts as before, and others are recitations.
    for start, digits in ((50, 3), (150, 4), (250, 5)):
        lists = [text for text in said[start : start + 100] if re.search(r'^.{"id": \d+, "content": "[a-z]+"}', text)]
        assert len(lists) > 30
        ids = re.findall(r'"id": (\d+)', " ".join(lists))
        assert max(map(len, ids)) == digits
    assert sum(re.search(r'"id": \d+, "content": "[\w ]+ [\w ]+ \w+"', text) is not None for text in said[600:]) > 20


def test_a_listed_thing_is_asked_for_by_a_word_that_no_other_has():
    kinds = set()
    for seed in range(50):
        said, answers = tiny_recitations.listed(random.Random(seed), 5)
        things = json.loads(said)
        for word, answer in answers.items():
            kinds.add(type(answer))
            texts = {thing["content"] if isinstance(thing, dict) else thing for thing in things}
            found = [text for text in texts if re.search(rf"(?<![a-z]){word}(?![a-z])", text.lower())]
            assert len(found) == 1
            row = {"id": answer, "content": found[0]}
            assert answer == found[0] or row in things
    assert kinds == {str, int}


def test_a_question_is_answered_with_the_id_of_the_one_row_that_has_the_word(learned_tokenizer):
    asked, forms, keys = 0, set(), set()
    for seed in range(60):
        dialogue = tiny_recitations.questioned(
            learned_tokenizer, random.Random(seed), 5, tiny_recitations.ROWS, tiny_recitations.QUESTIONS, plain=False
        )
        text = learned_tokenizer.decode(dialogue.ids)
        rows = json.loads(re.search(r"user\n(.*?)<\|im_end\|>", text)[1])
        for question, answer in re.findall(r"user\n([^\[]*?)<\|im_end\|>\n<\|im_start\|>assistant\n(.*?)<", text):
            forms.add(next(form for form in tiny_recitations.QUESTIONS if _fits(form, question)))
            word = _fits(next(form for form in tiny_recitations.QUESTIONS if _fits(form, question)), question)[1]
            ((key, number),) = json.loads(answer).items()
            named = [row for row in rows if re.search(rf"(?<![a-z]){word}(?![a-z])", _text(row))]
            assert [row[key] for row in named] == [number]
            keys.add(key)
            asked += 1
    assert asked > 150
    assert forms == set(tiny_recitations.QUESTIONS)
    assert keys == set(tiny_recitations.ID_KEYS)


def _fits(form: str, question: str) -> re.Match[str] | None:
    return re.fullmatch(re.escape(form).replace(r"\{\}", "(.*)"), question)


def _text(row: dict) -> str:
    return next(str(value).lower() for key, value in row.items() if key in tiny_recitations.TEXT_KEYS)


def test_only_the_answers_of_questions_are_learned(learned_tokenizer):
    dialogue = tiny_recitations.questioned(
        learned_tokenizer, random.Random(1), 3, tiny_recitations.ROWS[:1], tiny_recitations.QUESTIONS[:1], plain=True
    )
    learned = learned_tokenizer.decode(
        [token for token, said in zip(dialogue.ids, dialogue.sampled, strict=True) if said]
    )
    assert re.fullmatch(r"(\d{3,4}\}){3}", learned)
