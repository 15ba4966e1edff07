from __future__ import annotations

import json
import random
import re
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from lightning import Fabric

from envtune.chat.protocol import parse
from envtune.chat.template import Template
from envtune.data.bfcl import BFCL, CATEGORIES
from envtune.environment.augmentation.actionable import Actionable
from envtune.environment.augmentation.none import NoAugmentation
from envtune.environment.episode import Episode
from envtune.playground.source import Playground
from envtune.playground.tale import all_documents
from envtune.task import Category, Split, Task, ToolCall, UserTurn
from envtune.trajectory import FinalAnswer, FormatError, Step, ToolCalls, ToolResult, Turn, TurnEnd, TurnVerdict

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "tools"))

import build_tiny_model as recipe  # noqa: E402
import tiny_demonstrators as demonstrators  # noqa: E402
import tiny_dialogues as dialogues  # noqa: E402
import tiny_recitations  # noqa: E402
import tiny_rewording  # noqa: E402
import tiny_scores  # noqa: E402
import tiny_tokenizer  # noqa: E402
from tiny_demonstrators import Habits, Told, play  # noqa: E402
from transformers import CONFIG_MAPPING, AutoTokenizer  # noqa: E402

MODEL = ROOT / "envtune" / "models" / "tiny"
PLAIN = NoAugmentation()


@pytest.fixture(scope="module")
def bfcl():
    return BFCL(CATEGORIES).tasks(Split.TRAIN)[::67]


@pytest.fixture(scope="module")
def tokenizer(bfcl, tmp_path_factory):
    learned = tiny_tokenizer.learn(dialogues.tokenizer_texts(bfcl, 40, random.Random(0)))
    config = recipe.LlamaConfig(vocab_size=tiny_tokenizer.VOCABULARY)
    return tiny_tokenizer.as_loaded(learned, config, tmp_path_factory.mktemp("tokenizer"))


def stories(count: int, category: str | None = None) -> list[Told]:
    playground = Playground(CATEGORIES if category is None else [category])
    drawn = [playground.story(Split.TRAIN, number) for number in range(count)]
    return [Told(story.task, story.prerequisites, story.looked_up) for story in drawn]


def outcome(told: Told, habits: Habits, hints=PLAIN, seed: int = 0):
    """The trajectory of a demonstrator."""
    episode = Episode(told.task, parse, hints, demonstrators.STEP_LIMIT)
    episode.reset()
    done = False
    for _, completion in play(told, habits, hints, random.Random(seed)):
        done = episode.step(completion).done
    assert done
    return episode.finish()


def test_careful_demonstrators_pass_every_turn_within_the_step_limit(bfcl):
    for told in [*stories(60), *map(Told, bfcl)]:
        assert outcome(told, Habits()).progress == 1, told.task.id


def test_a_code_is_written_only_after_it_was_looked_up_and_other_calls_share_a_response():
    calls = together = 0
    for told in [told for told in stories(200, "base") if told.looked_up]:
        trajectory = outcome(told, Habits())
        read = ""
        for step in trajectory.steps:
            for call in step.action.calls if step.results else ():
                codes = [value for value in call.arguments.values() if str(value) in told.looked_up]
                assert all(code in read for code in codes)
                calls += len(codes)
            read += step.observation
        together += any(len(step.results) > 1 for step in trajectory.steps)
    assert calls > 20
    assert together > 5


def test_one_that_skips_prerequisites_fails_at_first_and_repairs_it():
    asked = [told for told in stories(120, "base") if told.prerequisites]
    played = [outcome(told, Habits(skips_prerequisites=1.0, guesses_instead_of_looking_up=1.0)) for told in asked]
    failed = [any(not result.ok for result in trajectory.results) for trajectory in played]
    assert sum(failed) > 0.7 * len(asked)
    assert sum(trajectory.success for trajectory in played) > 0.3 * len(asked)


def test_one_that_gives_up_after_an_error_passes_no_turn_with_an_error_unless_a_hint_helps():
    lazy = Habits(skips_prerequisites=1.0, guesses_instead_of_looking_up=1.0, gives_up_after_an_error=1.0)
    asked = [told for told in stories(120, "base") if told.prerequisites]
    for told in asked:
        # Later turns may fail for what was left undone in the first.
        first = outcome(told, lazy).turns[0]
        if any(not result.ok for step in first.steps for result in step.results):
            assert len(first.steps) == 2
            assert not first.verdict.passed
    helped = [outcome(told, lazy, Actionable().for_episode(0)).progress for told in asked]
    assert sum(helped) > 1.3 * sum(outcome(told, lazy).progress for told in asked)


@pytest.mark.parametrize("category", ["miss_param", "miss_func"])
def test_one_that_acts_instead_of_asking_fails_the_turn_that_lacks_something(category: str):
    for told in stories(40, category):
        turns = outcome(told, Habits(acts_instead_of_asking=1.0)).turns
        for turn in turns:
            if not turn.ground_truth:
                assert turn.steps[0].results
                assert not turn.verdict.passed


@pytest.mark.parametrize(
    ("category", "thought"), [("miss_func", "but it is not offered."), ("miss_param", "but something is missing.")]
)
def test_the_tool_that_would_be_taken_is_named_before_it_is_said_what_lacks(category: str, thought: str):
    for told in stories(40, category):
        turns = outcome(told, Habits()).turns
        for index, turn in enumerate(turns):
            if not turn.ground_truth:
                offered = {tool.name for tool in told.task.tools_offered_at(index)}
                named = re.fullmatch(rf"(?:I use|Now) (\w+), {thought}", turn.steps[0].action.thought)
                assert named[1] in {call.name for call in turns[index + 1].ground_truth}
                assert (named[1] in offered) == (category == "miss_param")


def test_the_tool_that_a_turn_is_about_is_named_before_the_one_that_comes_first():
    asked = 0
    for told in stories(60, "base"):
        for index, turn in enumerate(outcome(told, Habits()).turns):
            if (index, 0) in told.prerequisites and (index, 1) not in told.prerequisites and len(turn.ground_truth) > 1:
                first, goal = [call.name for call in turn.ground_truth[:2]]
                assert turn.steps[0].action.thought in {
                    f"{word} {goal}, but first {first}." for word in ("I use", "Now")
                }
                asked += 1
    assert asked > 10


def test_one_that_guesses_writes_what_it_should_look_up_and_one_that_skips_does_not():
    guessed = 0
    for told in [told for told in stories(200, "base") if told.looked_up]:
        skipped = outcome(told, Habits(skips_prerequisites=1.0, guesses_instead_of_looking_up=0.0))
        wanted = [call for turn in skipped.turns for call in turn.ground_truth]
        assert all(result.call in wanted for result in skipped.results if not _is_a_path(result.call))
        guesses = outcome(told, Habits(guesses_instead_of_looking_up=1.0))
        guessed += any(result.call not in wanted for result in guesses.results)
    assert guessed > 20


def _is_a_path(call: ToolCall) -> bool:
    return any("/" in str(value) for value in call.arguments.values())


def test_a_turn_needs_what_only_an_earlier_turns_result_has_told():
    state = {"TicketAPI": {"ticket_queue": [], "ticket_counter": 417, "current_user": "ada"}}
    opened = UserTurn("Open a ticket: 'Old Oak'.", (ToolCall("create_ticket", {"title": "Old Oak"}),))
    shown = UserTurn("Show 3 and it.", tuple(ToolCall("get_ticket", {"ticket_id": number}) for number in (3, 417)))
    task = Task("made", Category.BASE, 0, ("TicketAPI",), state, all_documents(("TicketAPI",)), (opened, shown))
    assert demonstrators.told_by_results(task) == [[], [417]]


def test_nobody_writes_what_was_never_read_but_says_that_it_does_not_work():
    lacking = 0
    for told in stories(150, "base"):
        needed = demonstrators.told_by_results(told.task)
        turns = outcome(told, Habits(stops_halfway=1.0, skips_prerequisites=1.0, gives_up_after_an_error=1.0)).turns
        read = ""
        for turn, values in zip(turns, needed, strict=True):
            if all(demonstrators.stands_in(value, read) for value in values):
                read += "".join(step.observation for step in turn.steps)
                continue
            (step,) = turn.steps
            assert isinstance(step.action, FinalAnswer)
            assert step.action.thought == "It does not work."
            lacking += 1
    assert lacking > 20


def test_one_that_would_rather_act_has_nothing_to_guess_where_no_turn_follows():
    told = next(told for told in stories(20, "miss_func") if not told.task.turns[-2].ground_truth)
    shortened = Told(replace(told.task, turns=told.task.turns[:-1]), told.prerequisites, told.looked_up)
    last = outcome(shortened, Habits(acts_instead_of_asking=1.0)).turns[-1]
    assert [type(step.action) for step in last.steps] == [FinalAnswer]


def test_one_that_answers_without_acting_passes_only_what_asks_for_an_answer():
    for told in stories(20):
        for turn in outcome(told, Habits(answers_without_acting=1.0)).turns:
            assert turn.verdict.passed == (not turn.ground_truth)
            assert [type(step.action) for step in turn.steps] == [FinalAnswer]


@pytest.mark.parametrize(("habit", "kind"), [("breaks_calls", ToolCalls), ("breaks_answers", FinalAnswer)])
def test_a_broken_response_is_followed_by_the_same_one_whole(habit: str, kind: type):
    for told in stories(30):
        for turn in outcome(told, Habits(**{habit: 1.0})).turns:
            for step, after in zip(turn.steps, turn.steps[1:], strict=False):
                if isinstance(step.action, FormatError):
                    assert isinstance(after.action, kind)
            assert any(isinstance(step.action, FormatError) for step in turn.steps) or not turn.ground_truth


def test_every_way_of_breaking_breaks_the_protocol():
    call = demonstrators.render_calls("Now ls.", [ToolCall("ls", {})])
    answer = demonstrators.render_answer("All done.", "Done.")
    for seed in range(20):
        assert isinstance(parse(demonstrators.broken_call(call, random.Random(seed))), FormatError)
        assert isinstance(parse(demonstrators.broken_answer(answer, random.Random(seed))), FormatError)


def test_a_habit_is_had_with_the_given_share_and_then_whole():
    drawn = [Habits(breaks_calls=0.5).some(0.3, random.Random(seed)).breaks_calls for seed in range(1000)]
    assert set(drawn) == {0.0, 0.5}
    assert 250 < drawn.count(0.5) < 350


def test_a_dialogue_holds_what_was_said_where_it_is_marked(bfcl, tokenizer, monkeypatch):
    monkeypatch.setattr(dialogues, "RENAMED_DIALOGUES", 0.0)
    mixture = dialogues.Mixture(Habits(), 1.0, 0.0, 1.0, 64)
    stream = dialogues.Demonstrations(bfcl, tokenizer, random.Random(5)).drawn(mixture)
    for whole in (next(stream) for _ in range(10)):
        marked = [id_ for id_, sampled in zip(whole.ids, whole.sampled, strict=True) if sampled]
        said = tokenizer.decode(marked).split("<|im_end|>")
        assert said[-1] == ""
        assert all(isinstance(parse(text), ToolCalls | FinalAnswer) for text in said[:-1])
        start = tokenizer.convert_tokens_to_ids("<|im_start|>")
        rest = dialogues.without_system_message(whole, start)
        assert tokenizer.decode(rest.ids).startswith("<|im_start|>user\n")
        assert sum(rest.sampled) == len(marked)


def test_a_share_of_the_dialogues_begins_with_its_system_message(bfcl, tokenizer):
    mixture = dialogues.Mixture(Habits(), 1.0, 0.0, 0.5, 64)
    stream = dialogues.Demonstrations(bfcl, tokenizer, random.Random(5)).drawn(mixture)
    texts = [tokenizer.decode(next(stream).ids) for _ in range(40)]
    assert all(text.startswith(("<|im_start|>system", "<|im_start|>user")) for text in texts)
    assert 10 < sum(text.startswith("<|im_start|>system") for text in texts) < 30


def test_only_training_tasks_are_drawn(bfcl, tokenizer, monkeypatch):
    drawn: list[Task] = []
    monkeypatch.setattr(dialogues, "play", lambda told, *_: drawn.append(told.task) or play(told, *_))
    mixture = dialogues.Mixture(Habits(), 1.0, 0.0, 1.0, 64, bfcl_share=0.5)
    stream = dialogues.Demonstrations(bfcl, tokenizer, random.Random(5)).drawn(mixture)
    for _ in range(40):
        next(stream)
    names = {task.id for task in BFCL(CATEGORIES).tasks(Split.TRAIN)}
    assert all(task.id in names or task.id.startswith("playground_train_") for task in drawn)
    assert {task.id in names for task in drawn} == {True, False}


def test_renaming_exchanges_a_said_value_everywhere_alike_and_keeps_its_shape(monkeypatch):
    monkeypatch.setattr(dialogues, "RENAMED_VALUES", 1.0)
    call = ToolCall("touch", {"file_name": "Old_Plan_27.txt", "mode": "fast"})
    task = Task("t", Category.BASE, 0, (), {}, (), (UserTurn("Make Old_Plan_27.txt in fast mode.", (call,)),))
    rename = dialogues.renaming(task, dialogues.Names(("green",), frozenset({"fast"})), random.Random(0))
    new = rename("Old_Plan_27.txt")
    assert re.fullmatch(r"Green_Green_[1-9]{2}\.txt", new)
    assert rename('{"file_name": "Old_Plan_27.txt", "mode": "fast"}') == f'{{"file_name": "{new}", "mode": "fast"}}'
    assert rename("My_Old_Plan_27.txt") == "My_Old_Plan_27.txt"


def test_tags_are_single_tokens_that_decoding_shows(tokenizer):
    assert len(tokenizer) <= tiny_tokenizer.VOCABULARY
    for tag in tiny_tokenizer.TAGS:
        assert len(tokenizer.encode(tag, add_special_tokens=False)) == 1
        assert tag not in tokenizer.all_special_tokens


@pytest.mark.parametrize("value", ["sketch_map_12.txt", "market", "tall_tower", "m7k3t9", "Please sort the shelf"])
def test_a_value_has_the_same_tokens_in_a_message_and_in_a_call(tokenizer, value: str):
    def inside(before: str, after: str) -> list[int]:
        ids = [tokenizer.encode(text, add_special_tokens=False) for text in (before, f"{before}{value}{after}", after)]
        assert ids[1][: len(ids[0])] == ids[0]
        assert ids[1][-len(ids[2]) :] == ids[2]
        return ids[1][len(ids[0]) : -len(ids[2])]

    assert inside("Take '", "'") == inside('{"name": "', '"') == tokenizer.encode(value, add_special_tokens=False)


def test_batches_stay_within_their_tokens_and_hold_every_dialogue(monkeypatch):
    monkeypatch.setattr(recipe, "DIALOGUES_SORTED_AT_ONCE", 5)
    made = [dialogues.Dialogue(tuple(range(n)), (True,) * n) for n in (100, 700, 290, 150, 300)]
    found: list[int] = []
    stream = recipe.batches(iter(made * 2), 600, random.Random(0))
    while len(found) < 5:
        batch = next(stream)
        lengths = [len(item.ids) for item in batch]
        assert len(batch) == 1 or max(lengths) * len(batch) <= 600
        found += lengths
    assert sorted(found) == [100, 150, 290, 300, 700]


def test_an_exercise_asks_for_the_values_that_the_user_said_and_grows(tokenizer):
    stream = tiny_recitations.first_lookups(tokenizer, random.Random(0))
    level = tiny_recitations.EXERCISES_PER_LEVEL
    drawn = [next(stream) for _ in range(4 * level)]
    for item in drawn[::50]:
        said, answer = tokenizer.decode(item.ids).split("<|im_start|>assistant\n{")
        asked = re.findall(r'"(\w+)": (?:"(.*?)"|([\d.]+)),', answer)
        learned = tokenizer.decode([id_ for id_, counts in zip(item.ids, item.sampled, strict=True) if counts])
        assert learned == "".join(f'{text}",' if text else f"{number}," for _, text, number in asked)
        assert all(key in said.lower() and (text or number) in said for key, text, number in asked)
    sizes = [tokenizer.decode(item.ids).split("<|im_start|>assistant\n{")[1].count('": ') for item in drawn]
    # Two facts at least where it is asked whose value it is.
    grown = [set(sizes[start : start + level]) for start in (0, level, 2 * level, 3 * level)]
    assert grown == [{1, 2}, {1, 2}, {1, 2, 3}, {1, 2, 3, 4}]


def test_the_first_lookups_ask_for_a_value_by_a_key_written_alike(tokenizer):
    stream = tiny_recitations.first_lookups(tokenizer, random.Random(0))
    said = [tokenizer.decode(next(stream).ids).split("<|im_end|>")[0].split("user\n")[1] for _ in range(300)]
    alike = [text for text in said if re.fullmatch(r'("\w+": "[^"]+", )+"\w+": "[^"]+"\.', text)]
    assert 0.4 < len(alike) / len(said) < 0.6


def test_forms_of_facts_and_kinds_of_rows_come_in_one_by_one(tokenizer, monkeypatch):
    monkeypatch.setattr(tiny_recitations, "EXERCISES_PER_FORM", 200)
    stream = tiny_recitations.associations(tokenizer, random.Random(0))
    said = [tokenizer.decode(next(stream).ids).split("<|im_end|>")[0].split("user\n")[1] for _ in range(1400)]

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


def test_rows_are_facts_at_first_and_then_lists_whose_ids_and_texts_grow(tokenizer, monkeypatch):
    monkeypatch.setattr(tiny_recitations, "ONE_ROW", 50)
    monkeypatch.setattr(tiny_recitations, "EXERCISES_PER_FORM", 100)
    stream = tiny_recitations.row_lookups(tokenizer, random.Random(0))
    said = [tokenizer.decode(next(stream).ids).split("<|im_end|>")[0].split("user\n")[1] for _ in range(700)]
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


def test_a_question_is_answered_with_the_id_of_the_one_row_that_has_the_word(tokenizer):
    asked, forms, keys = 0, set(), set()
    for seed in range(60):
        dialogue = tiny_recitations.questioned(
            tokenizer, random.Random(seed), 5, tiny_recitations.ROWS, tiny_recitations.QUESTIONS, plain=False
        )
        text = tokenizer.decode(dialogue.ids)
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


def test_only_the_answers_of_questions_are_learned(tokenizer):
    dialogue = tiny_recitations.questioned(
        tokenizer, random.Random(1), 3, tiny_recitations.ROWS[:1], tiny_recitations.QUESTIONS[:1], plain=True
    )
    learned = tokenizer.decode([token for token, said in zip(dialogue.ids, dialogue.sampled, strict=True) if said])
    assert re.fullmatch(r"(\d{3,4}\}){3}", learned)


def test_rewording_keeps_what_calls_and_quotes_hold_and_careful_demonstrators_still_pass():
    changed = 0
    for told in stories(60):
        other = tiny_rewording.reworded(told, random.Random(3))
        assert outcome(other, Habits()).progress == 1, told.task.id
        for before, after in zip(told.task.turns, other.task.turns, strict=True):
            assert after.ground_truth == before.ground_truth
            assert re.findall("'.*?'", after.message) == re.findall("'.*?'", before.message)
            changed += after.message != before.message
    assert changed > 30


def test_words_are_left_out_exchanged_and_put_in(monkeypatch):
    for name in ("LEFT_OUT", "EXCHANGED", "FOLLOWED", "WISHED"):
        monkeypatch.setattr(tiny_rewording, name, 0.0)
    monkeypatch.setattr(tiny_rewording, "REWORDED_MESSAGES", 1.0)
    call = ToolCall("cd", {"folder": "docs"})
    turn = UserTurn("Go to the island docs. It is 'in here' now", (call,))
    told = replace(stories(1)[0], task=replace(stories(1)[0].task, turns=(turn,)))

    def message(**shares: float) -> str:
        with monkeypatch.context() as patch:
            for name, share in shares.items():
                patch.setattr(tiny_rewording, name, share)
            patch.setattr(tiny_rewording, "FILLERS", ("so",))
            return tiny_rewording.reworded(told, random.Random(0)).task.turns[0].message

    # Plain words are "to", "the", "is" and "now"; "island" tells things apart, "docs." ends a sentence.
    assert message() == turn.message
    assert message(LEFT_OUT=1.0) == "Go island docs. It 'in here'"
    assert message(FOLLOWED=1.0) == "Go to so the so island docs. It is so 'in here' now so"
    assert message(EXCHANGED=1.0) == "Go the to island docs. It is 'in here' now"


def test_what_is_to_be_done_is_said_as_a_wish_at_times(monkeypatch):
    monkeypatch.setattr(tiny_rewording, "WISHES", ("I want to",))
    monkeypatch.setattr(tiny_rewording, "WISHED", 1.0)
    said = "Next: List 'docs'. Opening hours? Send 'Open it. Now'."
    assert (
        tiny_rewording._wished(said, random.Random(0))
        == "Next: I want to list 'docs'. Opening hours? I want to send 'Open it. Now'."
    )


def test_only_the_agents_tokens_are_learned(tokenizer):
    torch.manual_seed(0)
    model = recipe.build_model(tokenizer)
    sampled = (False, False, True, False, True)
    two = [dialogues.Dialogue((5, 6, 7, 8, 9), sampled), dialogues.Dialogue((5, 6, 7), sampled[:3])]
    with torch.no_grad():
        logprobs = model(torch.tensor([[5, 6, 7, 8, 9]])).logits[0].log_softmax(-1)
        expected = -(logprobs[1, 7] + logprobs[3, 9] + logprobs[1, 7]) / 3
        assert recipe.AgentLoss(model)(*recipe.padded(two)).item() == pytest.approx(expected.item(), rel=1e-5)


def test_a_stopped_build_goes_on_behind_the_last_phase_and_gives_the_same_weights(bfcl, tmp_path, monkeypatch):
    monkeypatch.setattr(recipe, "TOKENIZER_TASKS", 10)
    monkeypatch.setattr(recipe, "DIALOGUES_SORTED_AT_ONCE", 8)

    def built(work: Path) -> recipe.Build:
        torch.manual_seed(0)
        fabric = Fabric(accelerator="cpu", devices=1, precision="bf16-mixed")
        return recipe.Build(bfcl, 0, 0.0004, work, fabric)

    whole = built(tmp_path / "whole")
    whole.run()
    stopped = built(tmp_path / "stopped")
    monkeypatch.setattr(recipe, "PHASES", recipe.PHASES[:3])
    stopped.run()
    monkeypatch.undo()
    monkeypatch.setattr(recipe, "DIALOGUES_SORTED_AT_ONCE", 8)
    again = built(tmp_path / "stopped")
    again.run()
    assert again.updates == whole.updates > stopped.updates
    for name, weights in whole.model.state_dict().items():
        assert torch.equal(weights, again.model.state_dict()[name]), name


def test_every_weight_has_one_optimizer_and_only_matrices_of_the_layers_have_muon(tokenizer):
    model = recipe.build_model(tokenizer)
    muon, adamw = (
        {id(weights) for group in optimizer.param_groups for weights in group["params"]}
        for optimizer in recipe.optimizers_of(model)
    )
    assert not muon & adamw
    assert muon | adamw == {id(weights) for weights in model.parameters()}
    assert muon == {id(weights) for weights in model.model.layers.parameters() if weights.ndim == 2}


def test_the_learning_rate_never_rises_within_a_phase_and_ends_at_zero():
    rates = [phase.rates for phase in recipe.PHASES]
    assert all(1 >= before >= after for before, after in rates)
    assert rates[-1][1] == 0


def test_arguments_are_judged_where_a_tool_of_the_ground_truth_was_called():
    wanted = (ToolCall("cd", {"folder": "a"}), ToolCall("cd", {"folder": "b"}))
    made = (ToolCall("cd", {"folder": "b"}), ToolCall("ls", {}), ToolCall("cd", {"folder": "c"}))
    results = tuple(ToolResult(call, "", True) for call in made)
    step = Step("", ToolCalls("", made), results, "", False)
    turn = Turn("Go.", wanted, (step,), TurnEnd.ANSWERED, TurnVerdict(True, True, True, False, True))
    assert list(tiny_scores.right_arguments(turn)) == [True, False]


def test_turns_are_informed_until_one_has_failed():
    passed = Turn("", (), (), TurnEnd.ANSWERED, TurnVerdict(True, True, True, False, True))
    failed = Turn("", (), (), TurnEnd.ANSWERED, TurnVerdict(False, True, True, False, True))
    assert not failed.verdict.passed
    assert tiny_scores.up_to_the_first_failed((passed, failed, passed)) == (passed, failed)
    assert tiny_scores.up_to_the_first_failed((passed, passed)) == (passed, passed)


def test_one_that_stops_halfway_leaves_what_it_would_have_to_read_first():
    shorter = 0
    for told in stories(120, "base"):
        for turn in outcome(told, Habits(stops_halfway=1.0)).turns:
            made = [result.call for step in turn.steps for result in step.results]
            assert made == list(turn.ground_truth[: len(made)])
            assert len([step for step in turn.steps if step.results]) <= 1
            if len(made) < len(turn.ground_truth):
                assert not turn.verdict.passed
                shorter += 1
    assert shorter > 20


def test_the_committed_model_is_small_standard_and_has_a_card():
    config = json.loads((MODEL / "config.json").read_text(encoding="utf-8"))
    assert config["model_type"] in CONFIG_MAPPING
    assert config["dtype"] == "bfloat16"
    assert (MODEL / "model.safetensors").stat().st_size < 16_000_000
    assert "stand-in for a" in (MODEL / "README.md").read_text(encoding="utf-8")
    tokenizer = AutoTokenizer.from_pretrained(MODEL)
    Template(tokenizer, dialogues.STYLES[0])
