"""Demonstrations for the tiny model: the ground truth of a task, really played, with some careless steps mixed in.

Carelessness (a slip of format, a wrong call and its repair, an answer without acting) makes what is sampled from the
model vary, and shows it how one recovers. In a part of the played dialogues names and numbers that a user says are
exchanged for others, everywhere alike, so that copying is learned and not only remembering. Nothing is trained here.
"""

from __future__ import annotations

import json
import random
import re
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from envtune.chat.protocol import parse, render_answer, render_calls
from envtune.chat.template import Template
from envtune.environment.augmentation.none import NoAugmentation
from envtune.environment.episode import Episode, Observation
from envtune.task import Task, ToolCall, UserTurn

STEP_LIMIT = 5

# Shares of careless steps in the demonstrations.
ANSWERS_WITHOUT_ACTING = 0.04
CALLS_WRONGLY_FIRST = 0.08
SLIPS = 0.04
ALL_CALLS_IN_ONE_STEP = 0.6
# Shares of dialogues with exchanged names, and of the names exchanged in them.
RENAMED_DIALOGUES = 0.6
RENAMED_VALUES = 0.8
# A value that this many scenarios have in common is a tool's own word, such as a unit, and stays.
SHARED_BY = 3

CALL_THOUGHTS = ("Next: {}.", "I use {}.", "{} does this.", "This needs {}.", "Now {}.")
RETRY_THOUGHTS = ("That failed, so {}.", "Again, with {}.", "I correct the call: {}.")
DONE_THOUGHTS = ("All done.", "The results are in.", "Nothing is left to do.", "That was all.")
DONE_ANSWERS = ("Done.", "It is done.", "That is finished.", "Everything you asked for is done.")
STUCK_THOUGHTS = ("I cannot do this yet.", "Something is missing.", "No call fits.")
STUCK_ANSWERS = ("I cannot do this yet: a tool or a value is missing.", "Please tell me more, something is missing.")


@dataclass(frozen=True)
class Dialogue:
    """One played demonstration as a rollout would record it. ``sampled`` is True on the agent's tokens."""

    ids: tuple[int, ...]
    sampled: tuple[bool, ...]


def play(task: Task, rng: random.Random) -> Iterator[tuple[Observation, str]]:
    """Plays a demonstration: what the environment shows and the completion that answers it, in pairs."""
    episode = Episode(task, parse, NoAugmentation(), STEP_LIMIT)
    observation = episode.reset()
    for turn in task.turns:
        for completion in completions(turn, rng):
            yield observation, completion
            observation = episode.step(completion)
            if observation.done:
                return


def completions(turn: UserTurn, rng: random.Random) -> list[str]:
    """What the demonstrator says in one turn: the ground truth in a few steps, at times carelessly, then an answer."""
    if not turn.ground_truth or rng.random() < ANSWERS_WITHOUT_ACTING:
        thoughts, answers = (DONE_THOUGHTS, DONE_ANSWERS) if turn.ground_truth else (STUCK_THOUGHTS, STUCK_ANSWERS)
        return [render_answer(rng.choice(thoughts), rng.choice(answers))]
    answer = render_answer(rng.choice(DONE_THOUGHTS), rng.choice(DONE_ANSWERS))
    steps = [step for calls in _portions(turn.ground_truth, rng) for step in _attempts(calls, rng)]
    if len(steps) >= STEP_LIMIT:
        steps = [_calls(CALL_THOUGHTS, turn.ground_truth, rng)]
    return [*steps, answer]


def _portions(calls: Sequence[ToolCall], rng: random.Random) -> list[Sequence[ToolCall]]:
    if rng.random() < ALL_CALLS_IN_ONE_STEP:
        return [calls]
    return [calls[index : index + 1] for index in range(len(calls))]


def _attempts(calls: Sequence[ToolCall], rng: random.Random) -> list[str]:
    if rng.random() < CALLS_WRONGLY_FIRST:
        return [_calls(CALL_THOUGHTS, [_spoiled(calls[0], rng)], rng), _calls(RETRY_THOUGHTS, calls, rng)]
    if rng.random() < SLIPS:
        return [_slip(_calls(CALL_THOUGHTS, calls, rng), rng), _calls(RETRY_THOUGHTS, calls, rng)]
    return [_calls(CALL_THOUGHTS, calls, rng)]


def _calls(thoughts: Sequence[str], calls: Sequence[ToolCall], rng: random.Random) -> str:
    return render_calls(rng.choice(thoughts).format(calls[0].name), calls)


def _spoiled(call: ToolCall, rng: random.Random) -> ToolCall:
    """The call as a beginner writes it: a path for a name, a missing argument, or an invented parameter."""
    texts = [name for name, value in call.arguments.items() if isinstance(value, str)]
    if texts and rng.random() < 0.6:
        name = rng.choice(texts)
        return ToolCall(call.name, {**call.arguments, name: f"./files/{call.arguments[name]}"})
    if call.arguments:
        return ToolCall(call.name, dict(list(call.arguments.items())[1:]))
    return ToolCall(call.name, {"all": True})


def _slip(completion: str, rng: random.Random) -> str:
    """The completion with one of the common slips of format."""
    return rng.choice(
        (
            completion.replace("</think>", ""),
            "Sure. " + completion,
            completion.replace("<tool_call>[", "<tool_call>").replace("]</tool_call>", "</tool_call>"),
            completion.replace("</tool_call>", ""),
            completion[completion.index("<tool_call>") :],
        )
    )


@dataclass(frozen=True)
class Names:
    """What renaming draws on: ``words`` to make new values of, and the values that are ``kept`` as they are."""

    words: tuple[str, ...]
    kept: frozenset[str]


def names_of(tasks: Sequence[Task]) -> Names:
    """The words in all ground-truth arguments; kept are shared values and the names of tools and parameters."""
    scenarios: dict[str, set[int]] = defaultdict(set)
    for task in tasks:
        for value in _values(task):
            scenarios[value].add(task.scenario)
    words = sorted({word for value in scenarios for word in re.findall("[A-Za-z]{3,}", value)})
    shared = {value for value, found in scenarios.items() if len(found) >= SHARED_BY}
    tools = {tool.name: tool.parameters.get("properties", {}) for task in tasks for tool in task.tools}
    return Names(
        tuple(words), frozenset({"name", "arguments", *shared, *tools, *(p for ps in tools.values() for p in ps)})
    )


def _values(task: Task) -> Iterator[str]:
    """Texts and numbers among the ground truth's arguments, as a user would write them."""
    for turn in task.turns:
        for call in turn.ground_truth:
            for value in call.arguments.values():
                for leaf in value if isinstance(value, list) else [value]:
                    if isinstance(leaf, float) and leaf.is_integer():
                        yield str(int(leaf))
                    elif isinstance(leaf, str | int | float) and not isinstance(leaf, bool):
                        yield str(leaf)


def renaming(task: Task, names: Names, rng: random.Random) -> Callable[[str], str]:
    """A change of texts: some of the values that the user says become others, the same ones wherever they stand."""
    said = " ".join(turn.message for turn in task.turns)
    new = {
        value: _invented(value, names.words, rng)
        for value in sorted(set(_values(task)) - names.kept)
        if len(value) > 1 and value in said and json.dumps(value) == f'"{value}"' and rng.random() < RENAMED_VALUES
    }
    longest_first = sorted(new, key=len, reverse=True)
    pattern = re.compile("|".join(rf"(?<!\w){re.escape(value)}(?!\w)" for value in longest_first) or "(?!)")
    return lambda text: pattern.sub(lambda found: new[found[0]], text)


def _invented(value: str, words: Sequence[str], rng: random.Random) -> str:
    """Another value of the same shape: other words, other digits, the same file extension."""

    def other(found: re.Match[str]) -> str:
        part = found[0]
        if part.isdigit():
            return str(rng.randint(1, 9))
        word = rng.choice(words)
        if part.isupper():
            return word.upper()[: len(part)]
        return word.capitalize() if part.istitle() else word.lower()

    return re.sub(r"(?<![.A-Za-z])[A-Za-z]{2,}|\d", other, value)


def dialogue(task: Task, names: Names, template: Template, tokenizer: Any, rng: random.Random) -> Dialogue:
    """One demonstration as token ids."""
    rename = renaming(task, names, rng) if rng.random() < RENAMED_DIALOGUES else str
    ids: list[int] = []
    sampled: list[bool] = []
    for observation, completion in play(task, rng):
        shown = (template.append if ids else template.open)(rename(observation.text), observation.new_tools)
        said = [*tokenizer.encode(rename(completion), add_special_tokens=False), template.end_ids[0]]
        ids += shown + said
        sampled += [False] * len(shown) + [True] * len(said)
    return Dialogue(tuple(ids), tuple(sampled))


def without_system_message(whole: Dialogue, begin: int) -> Dialogue:
    """The dialogue from its first user message on; ``begin`` is the id with which every message begins."""
    start = whole.ids.index(begin, 1)
    return Dialogue(whole.ids[start:], whole.sampled[start:])
