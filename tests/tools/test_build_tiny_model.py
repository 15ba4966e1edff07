from __future__ import annotations

import json
import math
import random
import re
import sys
from pathlib import Path

import pytest
import torch

from envtune.chat.protocol import parse
from envtune.chat.template import Template
from envtune.data.bfcl import BFCL, CATEGORIES
from envtune.environment.augmentation.none import NoAugmentation
from envtune.environment.episode import Episode
from envtune.task import Category, Split, Task, ToolCall, UserTurn
from envtune.trajectory import FinalAnswer, FormatError, ToolCalls

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "tools"))

import build_tiny_model as recipe  # noqa: E402
import tiny_demonstrations as demonstrations  # noqa: E402

LS, CD, PWD = ToolCall("ls", {"a": True}), ToolCall("cd", {"folder": "x"}), ToolCall("pwd", {})
TURN = UserTurn("Look.", (LS, CD, PWD))
MODEL = ROOT / "envtune" / "models" / "tiny"


@pytest.fixture(scope="module")
def tasks():
    return BFCL(CATEGORIES).tasks(Split.TRAIN)[::67]


@pytest.fixture(scope="module")
def tokenizer(tasks):
    return recipe.build_tokenizer(tasks)


@pytest.fixture
def careful(monkeypatch):
    for share in ("ANSWERS_WITHOUT_ACTING", "CALLS_WRONGLY_FIRST", "SLIPS"):
        monkeypatch.setattr(demonstrations, share, 0.0)


def made(completions: list[str]) -> list[ToolCall]:
    return [call for text in completions if isinstance(action := parse(text), ToolCalls) for call in action.calls]


def test_a_careful_turn_is_the_ground_truth_and_an_answer(careful):
    for seed in range(10):
        said = demonstrations.completions(TURN, random.Random(seed))
        assert made(said) == [LS, CD, PWD]
        assert [type(parse(text)) for text in said] == [ToolCalls] * (len(said) - 1) + [FinalAnswer]
        assert len(said) in (2, 4)


def test_a_turn_without_ground_truth_is_answered_at_once():
    said = demonstrations.completions(UserTurn("Do it.", ()), random.Random(0))
    assert [type(parse(text)) for text in said] == [FinalAnswer]


@pytest.mark.parametrize("share", ["CALLS_WRONGLY_FIRST", "SLIPS"])
def test_after_a_careless_step_the_right_calls_follow(careful, monkeypatch, share: str):
    monkeypatch.setattr(demonstrations, share, 1.0)
    monkeypatch.setattr(demonstrations, "ALL_CALLS_IN_ONE_STEP", 1.0)
    for seed in range(10):
        wrong, right, answer = demonstrations.completions(TURN, random.Random(seed))
        assert made([right]) == [LS, CD, PWD]
        assert isinstance(parse(answer), FinalAnswer)
        assert isinstance(parse(wrong), FormatError) == (share == "SLIPS")
        assert made([wrong]) != [LS, CD, PWD]


def test_careful_demonstrations_pass_every_turn_within_the_step_limit(careful, tasks):
    for task in tasks:
        episode = Episode(task, parse, NoAugmentation(), demonstrations.STEP_LIMIT)
        episode.reset()
        for _, completion in demonstrations.play(task, random.Random(3)):
            observation = episode.step(completion)
        assert observation.done
        assert episode.finish().progress == 1


def test_a_dialogue_holds_what_was_said_where_it_is_marked(tasks, tokenizer, monkeypatch):
    monkeypatch.setattr(demonstrations, "RENAMED_DIALOGUES", 0.0)
    template = Template(tokenizer, recipe.STYLES[0])
    names = demonstrations.names_of(tasks)
    whole = demonstrations.dialogue(tasks[0], names, template, tokenizer, random.Random(5))
    rng = random.Random(5)
    rng.random()  # the dialogue first draws whether names are exchanged
    said = [completion for _, completion in demonstrations.play(tasks[0], rng)]
    marked = [id_ for id_, sampled in zip(whole.ids, whole.sampled, strict=True) if sampled]
    assert tokenizer.decode(marked) == "".join(text + "<|im_end|>" for text in said)
    start = tokenizer.convert_tokens_to_ids("<|im_start|>")
    rest = demonstrations.without_system_message(whole, start)
    assert tokenizer.decode(rest.ids).startswith(f"<|im_start|>user\n{tasks[0].turns[0].message}")
    assert sum(rest.sampled) == len(marked)


def test_renaming_exchanges_a_said_value_everywhere_alike_and_keeps_its_shape(monkeypatch):
    monkeypatch.setattr(demonstrations, "RENAMED_VALUES", 1.0)
    call = ToolCall("touch", {"file_name": "Old_Plan_27.txt", "mode": "fast"})
    task = Task("t", Category.BASE, 0, (), {}, (), (UserTurn("Make Old_Plan_27.txt in fast mode.", (call,)),))
    names = demonstrations.Names(("green",), frozenset({"fast"}))
    rename = demonstrations.renaming(task, names, random.Random(0))
    new = rename("Old_Plan_27.txt")
    assert re.fullmatch(r"Green_Green_[1-9]{2}\.txt", new)
    assert rename('{"file_name": "Old_Plan_27.txt", "mode": "fast"}') == f'{{"file_name": "{new}", "mode": "fast"}}'
    assert rename("My_Old_Plan_27.txt") == "My_Old_Plan_27.txt"


def test_tags_are_single_tokens_that_decoding_shows(tokenizer):
    assert len(tokenizer) <= recipe.VOCABULARY
    for tag in recipe.TAGS:
        assert len(tokenizer.encode(tag, add_special_tokens=False)) == 1
        assert tag not in tokenizer.all_special_tokens


def test_batches_stay_within_their_tokens_and_hold_every_dialogue(monkeypatch):
    monkeypatch.setattr(recipe, "BATCH_TOKENS", 600)
    dialogues = [recipe.Dialogue(tuple(range(n)), (True,) * n) for n in (100, 150, 290, 300, 700)]
    found: list[int] = []
    stream = recipe.batches(dialogues, random.Random(0))
    while len(found) < 5:
        batch = next(stream)
        lengths = [len(item.ids) for item in batch]
        assert len(batch) == 1 or max(lengths) * len(batch) <= 600
        found += lengths
    assert sorted(found) == [100, 150, 290, 300, 700]


def test_only_the_agents_tokens_are_learned(tokenizer):
    torch.manual_seed(0)
    model = recipe.build_model(tokenizer)
    sampled = (False, False, True, False, True)
    one = [recipe.Dialogue((5, 6, 7, 8, 9), sampled), recipe.Dialogue((5, 6, 7), sampled[:3])]
    with torch.no_grad():
        logprobs = model(torch.tensor([[5, 6, 7, 8, 9]])).logits[0].log_softmax(-1)
        expected = -(logprobs[1, 7] + logprobs[3, 9] + logprobs[1, 7]) / 3
        assert recipe.loss_of(model, one).item() == pytest.approx(expected.item(), rel=1e-5)


def test_the_learning_rate_warms_up_and_falls_to_zero():
    assert recipe.learning_rate(recipe.WARMUP / 2) == pytest.approx(recipe.LEARNING_RATE / 2)
    assert recipe.learning_rate(recipe.WARMUP) == pytest.approx(recipe.LEARNING_RATE)
    assert recipe.learning_rate((1 + recipe.WARMUP) / 2) == pytest.approx(recipe.LEARNING_RATE / 2)
    assert recipe.learning_rate(1.0) == pytest.approx(0, abs=1e-12)


def test_the_shares_of_the_phases_are_the_whole():
    assert math.isclose(sum(phase.share for phase in recipe.PHASES), 1)


def test_the_committed_model_is_small_standard_and_has_a_card():
    config = json.loads((MODEL / "config.json").read_text(encoding="utf-8"))
    assert (config["model_type"], config["dtype"]) == ("qwen2", "bfloat16")
    assert (MODEL / "model.safetensors").stat().st_size < 4_300_000
    assert "stand-in for a" in (MODEL / "README.md").read_text(encoding="utf-8")
