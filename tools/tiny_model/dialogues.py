"""The training data of the tiny model: an endless stream of played demonstrations as token ids.

User messages are reworded (``rewording.py``), so that the model does not memorise sentences. In some of BFCL's
dialogues names and numbers in user messages are replaced consistently, so that the model copies values instead of
memorising them; the playground draws names at random.
"""

from __future__ import annotations

import json
import random
import re
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from envtune.bfcl.category import CATEGORIES
from envtune.bfcl.environment import BFCL_ENVIRONMENT
from envtune.chat.prompt import PromptStyle
from envtune.chat.template import Template
from envtune.environment.augmentation import Augmentation
from envtune.environment.augmentation.actionable import Actionable
from envtune.environment.augmentation.none import NoAugmentation
from envtune.playground import values
from envtune.playground.codes import COMPANIES, FLIGHT_CITIES
from envtune.playground.source import Playground, Story
from envtune.task import Split, Task
from tools.tiny_model.demonstrators import Habits, play
from tools.tiny_model.rewording import reworded

STYLES = (PromptStyle("compact", "short"), PromptStyle("compact", "long"))
# Shares of BFCL's dialogues with exchanged names, and of the names exchanged in them.
RENAMED_DIALOGUES = 0.6
RENAMED_VALUES = 0.8
# A value of this many scenarios is a tool's own word, such as a unit, and is not renamed.
SHARED_BY = 3
MAX_NUMBER = 10**9
# The words of the playground's values in each form, all of which should become tokens.
WORDS = [
    form
    for words in (values.NOUNS, values.ADJECTIVES, values.VERBS, values.FIRST_NAMES, values.LAST_NAMES, values.DAYS)
    for word in words
    for form in (word, word.lower(), word.title(), f" {word}", f" {word.title()}", f"_{word.lower()}")
] + [form for word in f"{FLIGHT_CITIES} {COMPANIES}".replace("_", " ").split() for form in (word, f" {word}")]
CAREFUL = Habits()
# Without documents, the agent cannot know whether a tool is withheld.
CATEGORIES_WITHOUT_DOCUMENTS = ("base", "miss_param", "long_context")


@dataclass(frozen=True)
class Mixture:
    """The demonstrations of a phase; shares are in [0, 1]."""

    careless: Habits
    """Habits of the demonstrators that are not careful."""
    careful_share: float
    habit_share: float
    """Probability that a demonstrator that is not careful has one of the habits, for each habit."""
    system_share: float
    max_observation_tokens: int
    bfcl_share: float = 0.25
    hinted_share: float = 0.4


@dataclass(frozen=True)
class Dialogue:
    """One played demonstration, in the tokens that a rollout would record."""

    ids: tuple[int, ...]
    sampled: tuple[bool, ...]
    """True on the agent's tokens."""


class Demonstrations:
    """Draws tasks of the training splits and demonstrators, and plays the tasks."""

    def __init__(self, bfcl: Sequence[Task], tokenizer: Any, rng: random.Random) -> None:
        self._bfcl, self._tokenizer, self._rng = bfcl, tokenizer, rng
        self._names = names_of(bfcl)
        self._begin = tokenizer.convert_tokens_to_ids("<|im_start|>")

    def drawn(self, mixture: Mixture) -> Iterator[Dialogue]:
        """Yield endless dialogues of the mixture."""
        templates = [Template(self._tokenizer, style, mixture.max_observation_tokens) for style in STYLES]
        playgrounds = {categories: Playground(categories) for categories in (CATEGORIES, CATEGORIES_WITHOUT_DOCUMENTS)}
        rng = self._rng
        while True:
            complete = rng.random() < mixture.system_share
            categories = CATEGORIES if complete else CATEGORIES_WITHOUT_DOCUMENTS
            from_bfcl = rng.random() < mixture.bfcl_share
            if from_bfcl:
                story = self._from_bfcl(categories)
            else:
                story = playgrounds[categories].story(Split.TRAIN, rng.randrange(MAX_NUMBER))
            rename = renaming(story.task, self._names, rng) if from_bfcl and rng.random() < RENAMED_DIALOGUES else str
            careful = rng.random() < mixture.careful_share
            habits = CAREFUL if careful else mixture.careless.some(mixture.habit_share, rng)
            hints: Augmentation = Actionable() if rng.random() < mixture.hinted_share else NoAugmentation()
            whole = self._dialogue(reworded(story, rng), habits, hints, rng.choice(templates), rename)
            yield whole if complete else without_system_message(whole, self._begin)

    def _from_bfcl(self, categories: Sequence[str]) -> Story:
        while True:
            task = self._rng.choice(self._bfcl)
            if task.group in categories:
                return Story(task)

    def _dialogue(
        self, story: Story, habits: Habits, augmentation: Augmentation, template: Template, rename: Callable[[str], str]
    ) -> Dialogue:
        ids: list[int] = []
        sampled: list[bool] = []
        hints = augmentation.for_episode(BFCL_ENVIRONMENT, story.task, self._rng.randrange(MAX_NUMBER))
        for observation, completion in play(story, habits, hints, self._rng):
            shown = (template.append if ids else template.open)(rename(observation.text), observation.new_tools)
            said = [*self._tokenizer.encode(rename(completion), add_special_tokens=False), template.end_ids[0]]
            ids += shown + said
            sampled += [False] * len(shown) + [True] * len(said)
        return Dialogue(tuple(ids), tuple(sampled))


def without_system_message(whole: Dialogue, begin: int) -> Dialogue:
    """Return the dialogue from its first user message on; ``begin`` is the token that starts every message."""
    start = whole.ids.index(begin, 1)
    return Dialogue(whole.ids[start:], whole.sampled[start:])


def tokenizer_texts(bfcl: Sequence[Task], playground_tasks: int, rng: random.Random) -> Iterator[str]:
    """Yield prompts and played dialogues of both sources, from which the tokenizer's vocabulary is trained."""
    playground = Playground()
    stories = [*(playground.story(Split.TRAIN, number) for number in range(playground_tasks)), *map(Story, bfcl)]
    yield from WORDS * 200
    yield from sorted({style.system_prompt(story.task.tools) for story in stories[::20] for style in STYLES})
    for story in stories:
        for observation, completion in play(story, CAREFUL, NoAugmentation(), rng):
            yield observation.text[:1500]
            yield from re.split(r"</?\w+>", completion)


@dataclass(frozen=True)
class Names:
    """The words of new values, and the values that are not renamed."""

    words: tuple[str, ...]
    kept: frozenset[str]


def names_of(tasks: Sequence[Task]) -> Names:
    """Return the words of all ground-truth arguments; values of several scenarios, tools and parameters are kept."""
    scenarios: dict[str, set[int]] = defaultdict(set)
    for task in tasks:
        for value in _values(task):
            scenarios[value].add(task.world.number)
    words = sorted({word for value in scenarios for word in re.findall("[A-Za-z]{3,}", value)})
    shared = {value for value, found in scenarios.items() if len(found) >= SHARED_BY}
    tools = {tool.name: tool.parameters.get("properties", {}) for task in tasks for tool in task.tools}
    kept = {"name", "arguments", *shared, *tools, *(name for parameters in tools.values() for name in parameters)}
    return Names(tuple(words), frozenset(kept))


def _values(task: Task) -> Iterator[str]:
    """Yield texts and numbers among the arguments of the ground truth, as a user would write them."""
    for turn in task.turns:
        for call in turn.ground_truth:
            for value in call.arguments.values():
                for leaf in value if isinstance(value, list) else [value]:
                    if isinstance(leaf, float) and leaf.is_integer():
                        yield str(int(leaf))
                    elif isinstance(leaf, str | int | float) and not isinstance(leaf, bool):
                        yield str(leaf)


def renaming(task: Task, names: Names, rng: random.Random) -> Callable[[str], str]:
    """Return a function on texts that replaces some of the values in user messages, each by one other value."""
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
    """Return a value of equal shape: other words, other digits, an equal file extension."""

    def other(found: re.Match[str]) -> str:
        part = found[0]
        if part.isdigit():
            return str(rng.randint(1, 9))
        word = rng.choice(words)
        if part.isupper():
            return word.upper()[: len(part)]
        return word.capitalize() if part.istitle() else word.lower()

    return re.sub(r"(?<![.A-Za-z])[A-Za-z]{2,}|\d", other, value)
