from __future__ import annotations

import random
import re

from envtune.bfcl.benchmark import BFCL
from envtune.bfcl.category import CATEGORIES, Category
from envtune.bfcl.scenario import Scenario
from envtune.chat.protocol import parse
from envtune.task import Split, Task, ToolCall, UserTurn
from envtune.trajectory import FinalAnswer, ToolCalls
from tools.tiny_model import dialogues
from tools.tiny_model.demonstrators import Habits, play


def test_a_dialogue_holds_what_was_said_where_it_is_marked(bfcl_tasks, learned_tokenizer, monkeypatch):
    monkeypatch.setattr(dialogues, "RENAMED_DIALOGUES", 0.0)
    mixture = dialogues.Mixture(Habits(), 1.0, 0.0, 1.0, 64)
    stream = dialogues.Demonstrations(bfcl_tasks, learned_tokenizer, random.Random(5)).drawn(mixture)
    for whole in (next(stream) for _ in range(10)):
        marked = [id_ for id_, sampled in zip(whole.ids, whole.sampled, strict=True) if sampled]
        said = learned_tokenizer.decode(marked).split("<|im_end|>")
        assert said[-1] == ""
        assert all(isinstance(parse(text), ToolCalls | FinalAnswer) for text in said[:-1])
        start = learned_tokenizer.convert_tokens_to_ids("<|im_start|>")
        rest = dialogues.without_system_message(whole, start)
        assert learned_tokenizer.decode(rest.ids).startswith("<|im_start|>user\n")
        assert sum(rest.sampled) == len(marked)


def test_a_share_of_the_dialogues_begins_with_its_system_message(bfcl_tasks, learned_tokenizer):
    mixture = dialogues.Mixture(Habits(), 1.0, 0.0, 0.5, 64)
    stream = dialogues.Demonstrations(bfcl_tasks, learned_tokenizer, random.Random(5)).drawn(mixture)
    texts = [learned_tokenizer.decode(next(stream).ids) for _ in range(40)]
    assert all(text.startswith(("<|im_start|>system", "<|im_start|>user")) for text in texts)
    assert 10 < sum(text.startswith("<|im_start|>system") for text in texts) < 30


def test_only_training_tasks_are_drawn(bfcl_tasks, learned_tokenizer, monkeypatch):
    drawn: list[Task] = []
    monkeypatch.setattr(dialogues, "play", lambda story, *_: drawn.append(story.task) or play(story, *_))
    mixture = dialogues.Mixture(Habits(), 1.0, 0.0, 1.0, 64, bfcl_share=0.5)
    stream = dialogues.Demonstrations(bfcl_tasks, learned_tokenizer, random.Random(5)).drawn(mixture)
    for _ in range(40):
        next(stream)
    names = {task.id for task in BFCL(CATEGORIES).tasks(Split.TRAIN)}
    assert all(task.id in names or task.id.startswith("playground_train_") for task in drawn)
    assert {task.id in names for task in drawn} == {True, False}


def test_renaming_exchanges_a_said_value_everywhere_alike_and_keeps_its_shape(monkeypatch):
    monkeypatch.setattr(dialogues, "RENAMED_VALUES", 1.0)
    call = ToolCall("touch", {"file_name": "Old_Plan_27.txt", "mode": "fast"})
    task = Task("t", Category.BASE, Scenario(0, (), {}), (UserTurn("Make Old_Plan_27.txt in fast mode.", (call,)),), ())
    rename = dialogues.renaming(task, dialogues.Names(("green",), frozenset({"fast"})), random.Random(0))
    new = rename("Old_Plan_27.txt")
    assert re.fullmatch(r"Green_Green_[1-9]{2}\.txt", new)
    assert rename('{"file_name": "Old_Plan_27.txt", "mode": "fast"}') == f'{{"file_name": "{new}", "mode": "fast"}}'
    assert rename("My_Old_Plan_27.txt") == "My_Old_Plan_27.txt"
