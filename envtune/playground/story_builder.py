"""A story in the making: told turn by turn to the user's side, and played at once with the real tools.

A storyline is a function of a story. It sets the worlds up, says what the user says, and makes the calls that answer
it; each call runs when it is made, and what it returns is there for the turns that follow. How a story becomes a task
of a category is decided in ``categories.py``.
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from envtune.data.bfcl import tool_documents
from envtune.environment.toolbox import Toolbox
from envtune.playground.phrase import Phrase, read_phrases
from envtune.task import Category, Task, ToolCall, ToolDocument

# A turn must fit the usual step limit of 5 with one call a step and an answer.
MAX_CALLS = 4
CONVERSATION = read_phrases("conversation")


class StorylineError(AssertionError):
    """A storyline is wrong: a call of it failed, or it does not fit a category that it claims."""


@dataclass(slots=True)
class StoryTurn:
    """One turn: what is said, as phrases with their values; what is called; what the calls returned.

    ``prerequisites`` are the positions of calls that nobody asked for, without which a later one fails.
    """

    parts: list[tuple[Phrase, Mapping[str, Any]]]
    calls: list[ToolCall] = field(default_factory=list)
    results: list[str] = field(default_factory=list)
    prerequisites: set[int] = field(default_factory=set)


class StoryBuilder:
    """What a storyline tells with.

    ``rng`` decides whatever is free. ``length`` is how many turns the story should have at most. ``crowded`` is True
    where the items that matter should be hidden among many. ``looked_up`` maps each value that a prerequisite found
    to what it was found by, which is what an agent might write that did not look it up.
    """

    def __init__(self, toolboxes: Sequence[str], rng: random.Random, length: int, crowded: bool) -> None:
        self.rng = rng
        self.length = length
        self.crowded = crowded
        self.initial_state: dict[str, Any] = {}
        self.turns: list[StoryTurn] = []
        self.looked_up: dict[str, str] = {}
        self.toolboxes = tuple(toolboxes)
        self._tools: Toolbox | None = None

    def world(self, toolbox: str, **state: Any) -> None:
        """The initial state of one class, before the first call."""
        assert self._tools is None, "the worlds are running already"
        self.initial_state[toolbox] = state

    def many(self, low: int, high: int, crowd: int) -> int:
        """How many similar items there are: a few, or about a ``crowd`` where the story is crowded."""
        return self.rng.randint(crowd - 3, crowd + 3) if self.crowded else self.rng.randint(low, high)

    def say(self, phrase: Phrase, **slots: Any) -> None:
        """Begins a turn with what the user says. Texts should be quoted by the phrase."""
        self.turns.append(StoryTurn([(phrase, slots)]))

    def add(self, phrase: Phrase, **slots: Any) -> None:
        """What the user says in the same turn besides, before or after."""
        self.turns[-1].parts.append((phrase, slots))

    def call(self, tool: str, **arguments: Any) -> Any:
        """Makes a call of the ground truth; returns what it returned, a dict read as one.

        Raises:
            StorylineError: if it fails.
        """
        result = self._toolbox().call(ToolCall(tool, arguments))
        turn = self.turns[-1]
        if not result.ok or len(turn.calls) == MAX_CALLS:
            raise StorylineError(f"{tool}({arguments}): {result.text}, after {len(turn.calls)} calls in the turn")
        turn.calls.append(result.call)
        turn.results.append(result.text)
        return json.loads(result.text) if result.text.startswith("{") else result.text

    def first(self, tool: str, **arguments: Any) -> Any:
        """As ``call``, for a prerequisite: nobody asks for it, but a later call of this turn fails without it."""
        self.turns[-1].prerequisites.add(len(self.turns[-1].calls))
        return self.call(tool, **arguments)

    def look_up(self, tool: str, key: str, **argument: str) -> str:
        """As ``first``, for a code that stands for the one ``argument`` that the user says."""
        code = self.first(tool, **argument)[key]
        (self.looked_up[code],) = argument.values()
        return code

    def log_in(self, tool: str, user: str, password: str) -> None:
        """The user says who it is, and the agent has to log in first."""
        self.add(CONVERSATION["credentials"], user=user, password=password)
        self.first(tool, username=user, password=password)

    def go_on(self, acts: Sequence[Callable[[], None]], last: Sequence[Callable[[], None]] = ()) -> None:
        """Tells further turns until the story is long enough, each act once; one of ``last`` may only end it."""
        left = max(0, self.length - len(self.turns))
        chosen = self.rng.sample(list(acts), min(left, len(acts)))
        if chosen and last and self.rng.random() < 0.4:
            chosen[-1] = self.rng.choice(last)
        for act in chosen:
            act()

    def sometimes(self, share: float = 0.5) -> bool:
        return self.rng.random() < share

    def _toolbox(self) -> Toolbox:
        if self._tools is None:
            category = Category.LONG_CONTEXT if self.crowded else Category.BASE
            tools = all_documents(self.toolboxes)
            self._tools = Toolbox(Task("story", category, 0, self.toolboxes, self.initial_state, tools, ()))
        return self._tools


@dataclass(frozen=True, slots=True)
class Storyline:
    """A family of stories. The first of its classes is the one it is counted under."""

    name: str
    toolboxes: tuple[str, ...]
    can_crowd: bool
    tell: Callable[[StoryBuilder], None]


def storyline(*toolboxes: str, can_crowd: bool = False) -> Callable[[Callable[[StoryBuilder], None]], Storyline]:
    """Makes a function of a tale a storyline of its own name. ``can_crowd``: it suits long contexts."""
    return lambda tell: Storyline(tell.__name__, toolboxes, can_crowd, tell)


@cache
def all_documents(toolboxes: tuple[str, ...]) -> tuple[ToolDocument, ...]:
    return tuple(document for toolbox in toolboxes for document in tool_documents(toolbox))
