"""The ways in which an agent gets ground-truth calls wrong, with the hints, and what it had read and written by then.

Not covered: attempts that need a free hand, such as a world that a long wrong turn has changed.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import Any

from of_tables import HINTS

from envtune.bfcl.category import Category
from envtune.bfcl.toolbox import Toolbox
from envtune.task import Task, ToolCall, ToolDocument
from envtune.trajectory import Hint, ToolResult

LOGINS = frozenset({"authenticate_twitter", "message_login", "ticket_login", "trading_login", "authenticate_travel"})
LOGGED_OUT: Mapping[str, Mapping[str, Any]] = {
    "TwitterAPI": {"authenticated": False},
    "MessageAPI": {"current_user": None},
    "TicketAPI": {"current_user": None},
    "TradingBot": {"authenticated": False},
    "TravelAPI": {"access_token": None, "token_expires_in": None},
}


@dataclass(frozen=True, slots=True)
class Attempt:
    """A call that failed or got a hint. ``texts``: all that the agent had read or written before it."""

    way: str
    result: ToolResult
    hint: Hint | None
    texts: tuple[str, ...]

    @property
    def known(self) -> str:
        """What the agent had read and written when it read the hint."""
        return "\n".join((*self.texts, written(self.result.call), self.result.text))


@dataclass
class Player:
    """A world, and what the agent read and wrote in it."""

    world: Toolbox
    texts: list[str] = field(default_factory=list)

    def attempt(self, way: str, call: ToolCall) -> Iterator[Attempt]:
        """Makes the call; nothing if it goes well without a hint."""
        result = self.world.call(call)
        hint = HINTS.hint(result, self.world)
        if hint or not result.ok:
            yield Attempt(way, result, hint, tuple(self.texts))
        self.texts += [written(call), result.text]

    def open_turn(self, task: Task, index: int) -> None:
        self.world.offer(tool.name for tool in task.tools_offered_at(index))
        self.texts += [task.turns[index].message, *map(documented, task.tools_handed_over_at(index))]


def attempts(task: Task) -> Iterator[Attempt]:
    """Every call gone wrong where it belongs, and all calls in three worlds that are not ready for them."""
    yield from _wrong_calls_in_place(task)
    states = {name: {**state, **LOGGED_OUT.get(name, {})} for name, state in task.world.initial_state.items()}
    yield from _replayed("not logged in", replace(task, world=replace(task.world, initial_state=states)), LOGINS)
    yield from _replayed("wrong directory", task, frozenset({"cd"}))
    early = Player(Toolbox(task))
    early.open_turn(task, 0)
    for call in reversed(ground_truth(task)):
        yield from early.attempt("too early", call)


def _wrong_calls_in_place(task: Task) -> Iterator[Attempt]:
    player = Player(Toolbox(task))
    calls = ground_truth(task)
    # Most stories are the same in three categories: what happens is played once, what the agent has read differs.
    story = repr((task.world.initial_state, task.group == Category.LONG_CONTEXT, calls))
    played = 0
    for index, turn in enumerate(task.turns):
        player.open_turn(task, index)
        for call in turn.ground_truth:
            situation = (story, played, player.world.tools)
            if situation not in _OUTCOMES:
                _OUTCOMES[situation] = list(_outcomes(player.world, call, calls))
            texts = tuple(player.texts)
            yield from (Attempt(way, result, hint, texts) for way, result, hint in _OUTCOMES[situation])
            yield from player.attempt("right", call)
            played += 1


_OUTCOMES: dict[tuple[str, int, frozenset[str]], list[tuple[str, ToolResult, Hint | None]]] = {}


def _outcomes(world: Toolbox, call: ToolCall, others: list[ToolCall]) -> Iterator[tuple[str, ToolResult, Hint | None]]:
    """What comes of every wrong form of the call, and of the call itself after them and once more."""
    # Some wrong calls succeed, and must not lead the rest astray.
    aside = copy.deepcopy(world)
    for way, attempt in (*wrong_calls(call, others), ("late", call), ("repeated", call)):
        result = aside.call(attempt)
        hint = HINTS.hint(result, aside)
        if hint or not result.ok:
            yield way, result, hint


def _replayed(way: str, task: Task, left_out: frozenset[str]) -> Iterator[Attempt]:
    player = Player(Toolbox(task))
    for index, turn in enumerate(task.turns):
        player.open_turn(task, index)
        for call in turn.ground_truth:
            if call.name not in left_out:
                yield from player.attempt(way, call)


def ground_truth(task: Task) -> list[ToolCall]:
    return [call for turn in task.turns for call in turn.ground_truth]


def wrong_calls(call: ToolCall, others: list[ToolCall]) -> Iterator[tuple[str, ToolCall]]:
    """Ways to get an argument wrong, to exchange two, to give one too many, and to get the tool's name wrong."""
    for name, value in call.arguments.items():
        yield "missing argument", replace(call, arguments={k: v for k, v in call.arguments.items() if k != name})
        for way, wrong in wrong_values(value):
            yield way, replace(call, arguments={**call.arguments, name: wrong})
        for foreign in foreign_values(call, value, others):
            yield "another call's value", replace(call, arguments={**call.arguments, name: foreign})
    names = list(call.arguments)
    for one, other in pairwise(names):
        swapped = {one: call.arguments[other], other: call.arguments[one]}
        yield "swapped arguments", replace(call, arguments={**call.arguments, **swapped})
    yield "extra argument", replace(call, arguments={**call.arguments, "colour": "red"})
    yield "unknown tool", replace(call, name=f"{call.name}_now")


def wrong_values(value: object) -> Iterator[tuple[str, object]]:
    if isinstance(value, str):
        yield from (("wrong value", "nowhere"), ("wrong value", ""), ("wrong value", value.swapcase()))
        yield from (("path", f"folder/{value}"), ("path", "folder/nowhere"))
        yield from (("wrong type", 7), ("wrong type", ["x"]), ("wrong type", [value]))
    else:
        yield from (("wrong value", -1), ("wrong value", 10**6), ("wrong value", [] if isinstance(value, list) else 0))
        yield from (("wrong type", str(value)), ("wrong type", "nowhere"), ("wrong type", None))


def foreign_values(call: ToolCall, value: object, others: list[ToolCall]) -> list[str]:
    """Two texts that belong into other calls, such as a city where a code is due."""
    if not isinstance(value, str):
        return []
    texts = [v for other in others if other.name != call.name for v in other.arguments.values() if isinstance(v, str)]
    return [text for text in dict.fromkeys(texts) if text != value][:2]


def written(call: ToolCall) -> str:
    return f"{call.name} {' '.join(values_in(call.arguments, names=True))}"


def documented(tool: ToolDocument) -> str:
    """What of a document counts as read: the names of tool and parameters, and the values listed as allowed."""
    parameters = tool.parameters["properties"]
    allowed = [[p.get("enum", []), p.get("items", {}).get("enum", [])] for p in parameters.values()]
    return f"{tool.name} {' '.join(parameters)} {' '.join(values_in(allowed))}"


def values_in(value: object, names: bool = False) -> Iterator[str]:
    """The texts and numbers in an argument, as text; a whole number also without its point."""
    if isinstance(value, Mapping):
        if names:
            yield from map(str, value)
        for part in value.values():
            yield from values_in(part, names)
    elif isinstance(value, list | tuple):
        for part in value:
            yield from values_in(part, names)
    elif isinstance(value, str):
        yield value
    elif value is not None and not isinstance(value, bool):
        yield str(value)
        if isinstance(value, float) and value.is_integer():
            yield str(int(value))
