"""The builder of stories, and storylines, the functions that tell them.

A storyline sets up the worlds, adds what the user says, and makes the calls that answer it. Each call runs on the real
tools at once, so later turns can use its result. ``categories.py`` turns a story into a task of a category.
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from envtune.bfcl.benchmark import tool_documents
from envtune.bfcl.category import Category
from envtune.bfcl.scenario import Scenario
from envtune.bfcl.toolbox import Toolbox
from envtune.playground.phrase import Phrase, read_phrases
from envtune.task import Task, ToolCall, ToolDocument

# One call per step and an answer fit the usual step limit of 5.
MAX_CALLS = 4
CONVERSATION = read_phrases("conversation")


class StorylineError(AssertionError):
    """A storyline is wrong: one of its calls failed, or it does not suit a category."""


@dataclass(slots=True)
class StoryTurn:
    """One turn of a story."""

    parts: list[tuple[Phrase, Mapping[str, Any]]]
    """The phrases of the user's message, each with the values of its slots."""
    calls: list[ToolCall] = field(default_factory=list)
    results: list[str] = field(default_factory=list)
    """The texts that the calls returned."""
    prerequisites: set[int] = field(default_factory=set)
    """The positions of calls that no phrase asks for and without which a later call fails."""


class StoryBuilder:
    """A story that is told turn by turn.

    ``looked_up`` maps each code that a prerequisite returned to the user's name for it, which an agent without the
    look-up would write instead.

    Args:
        toolboxes: the tool classes of the story.
        rng: makes all random choices.
        length: the largest number of turns.
        crowded: hide the items that matter among many others.
    """

    def __init__(self, toolboxes: Sequence[str], rng: random.Random, length: int, crowded: bool) -> None:
        self.rng, self.length, self.crowded = rng, length, crowded
        self.initial_state: dict[str, Any] = {}
        self.turns: list[StoryTurn] = []
        self.looked_up: dict[str, str] = {}
        self.toolboxes = tuple(toolboxes)
        self._tools: Toolbox | None = None

    def world(self, toolbox: str, **state: Any) -> None:
        """Set the initial state of one class; only before the first call."""
        assert self._tools is None, "the worlds are running already"
        self.initial_state[toolbox] = state

    def many(self, low: int, high: int, crowd: int) -> int:
        """Draw a number of similar items: in [low, high], or about ``crowd`` in a crowded story."""
        return self.rng.randint(crowd - 3, crowd + 3) if self.crowded else self.rng.randint(low, high)

    def say(self, phrase: Phrase, **slots: Any) -> None:
        """Begin a turn with what the user says. The phrase should quote texts."""
        self.turns.append(StoryTurn([(phrase, slots)]))

    def add(self, phrase: Phrase, **slots: Any) -> None:
        """Add a phrase to the message of the current turn."""
        self.turns[-1].parts.append((phrase, slots))

    def call(self, tool: str, **arguments: Any) -> Any:
        """Run a ground-truth call in the current turn; return its result, parsed if it is a dict.

        Raises:
            StorylineError: the call failed, or the turn has too many calls.
        """
        result = self._toolbox().call(ToolCall(tool, arguments))
        turn = self.turns[-1]
        if not result.ok or len(turn.calls) == MAX_CALLS:
            raise StorylineError(f"{tool}({arguments}): {result.text}, after {len(turn.calls)} calls in the turn")
        turn.calls.append(result.call)
        turn.results.append(result.text)
        return json.loads(result.text) if result.text.startswith("{") else result.text

    def first(self, tool: str, **arguments: Any) -> Any:
        """Run a prerequisite: a call that no phrase asks for and without which a later call of the turn fails."""
        self.turns[-1].prerequisites.add(len(self.turns[-1].calls))
        return self.call(tool, **arguments)

    def look_up(self, tool: str, key: str, **argument: str) -> str:
        """Run a prerequisite that returns the code, under ``key``, for the user's name in the one ``argument``."""
        code = self.first(tool, **argument)[key]
        (self.looked_up[code],) = argument.values()
        return code

    def log_in(self, tool: str, user: str, password: str) -> None:
        """Add the user's credentials to the message and a login as prerequisite."""
        self.add(CONVERSATION["credentials"], user=user, password=password)
        self.first(tool, username=user, password=password)

    def go_on(self, acts: Sequence[Callable[[], None]], last: Sequence[Callable[[], None]] = ()) -> None:
        """Tell further turns up to the story's length, each act at most once; one of ``last`` can only end it."""
        left = max(0, self.length - len(self.turns))
        chosen = self.rng.sample(list(acts), min(left, len(acts)))
        if chosen and last and self.rng.random() < 0.4:
            chosen[-1] = self.rng.choice(last)
        for act in chosen:
            act()

    def sometimes(self, share: float = 0.5) -> bool:
        """Return True with probability ``share``."""
        return self.rng.random() < share

    def _toolbox(self) -> Toolbox:
        if self._tools is None:
            category = Category.LONG_CONTEXT if self.crowded else Category.BASE
            world = Scenario(0, self.toolboxes, self.initial_state)
            self._tools = Toolbox(Task("story", category, world, (), all_documents(self.toolboxes)))
        return self._tools


class Scene:
    """The part of a story that one tool class plays: a state of its world, and requests as methods."""

    phrases: Mapping[str, Phrase]
    """What the user says, by name."""
    login: str
    """The tool that logs the user in."""
    behind_login: Sequence[str] = ()
    """The tools that fail without a login."""
    user: str
    password: str
    logged_in: bool

    def __init__(self, story: StoryBuilder) -> None:
        self.story, self.rng = story, story.rng

    def ask(self, phrase: str, tool: str, slots: Mapping[str, Any] | None = None, **arguments: Any) -> Any:
        """Begin a turn with a phrase, log in if the tool needs it, and call the tool; return the call's result.

        Args:
            phrase: the name of the phrase.
            tool: the tool that answers it.
            slots: the values of the phrase's slots.
            **arguments: the arguments of the call.
        """
        self.story.say(self.phrases[phrase], **(slots or {}))
        if tool in self.behind_login:
            self.enter()
        return self.story.call(tool, **arguments)

    def enter(self) -> None:
        """Add a login to the current turn unless the user is logged in."""
        if not self.logged_in:
            self.story.log_in(self.login, self.user, self.password)
            self.logged_in = True


@dataclass(frozen=True, slots=True)
class Storyline:
    """A family of stories."""

    name: str
    toolboxes: tuple[str, ...]
    """Its tool classes; it is counted under the first."""
    can_crowd: bool
    """True if it suits long contexts."""
    tell: Callable[[StoryBuilder], None]


def storyline(*toolboxes: str, can_crowd: bool = False) -> Callable[[Callable[[StoryBuilder], None]], Storyline]:
    """Make a function of a story a storyline with the function's name. ``can_crowd``: it suits long contexts."""
    return lambda tell: Storyline(tell.__name__, toolboxes, can_crowd, tell)


@cache
def all_documents(toolboxes: tuple[str, ...]) -> tuple[ToolDocument, ...]:
    """Return the documents of all tools of the classes."""
    return tuple(document for toolbox in toolboxes for document in tool_documents(toolbox))
