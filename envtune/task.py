"""Immutable records of a benchmark entry: the task, its user turns and its tools."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any


class TextEnum(str, Enum):
    """An enumeration whose members are their text, also when formatted."""

    def __str__(self) -> str:
        return self.value


class Category(TextEnum):
    """The four kinds of multi-turn task (the paper calls them splits)."""

    BASE = "base"
    MISS_FUNC = "miss_func"
    MISS_PARAM = "miss_param"
    LONG_CONTEXT = "long_context"


class Split(TextEnum):
    """The split of a task. Validation tasks are drawn from the held-out side."""

    TRAIN = "train"
    VAL = "val"
    TEST = "test"


@dataclass(frozen=True, slots=True)
class ToolCall:
    """A call of one tool."""

    name: str
    arguments: Mapping[str, Any]
    """By parameter. The toolbox copies mutable values before the call runs."""


@dataclass(frozen=True, slots=True)
class ToolDocument:
    """One tool as documented to the agent."""

    name: str
    description: str
    parameters: Mapping[str, Any]
    """BFCL's JSON schema, whose outer type is ``dict``."""
    response: Mapping[str, Any] = field(default_factory=dict)
    toolbox: str = ""
    """The name of the class that has the tool."""


@dataclass(frozen=True, slots=True)
class UserTurn:
    """One user message and the calls that answer it."""

    message: str
    """Empty if the turn only hands over ``new_tools``."""
    ground_truth: tuple[ToolCall, ...]
    """Empty if the turn should be answered without a call."""
    new_tools: tuple[str, ...] = ()
    """The names of tools that can be called from this turn on."""


@dataclass(frozen=True, slots=True)
class Task:
    """One benchmark entry."""

    id: str
    category: Category
    scenario: int
    """The number of the entry's story, which all four categories share."""
    toolboxes: tuple[str, ...]
    """The names of the tool classes involved."""
    initial_state: Mapping[str, Any]
    """The JSON that each tool class is loaded from, by its name."""
    tools: tuple[ToolDocument, ...]
    """The documents of all tools, including those handed over in a later turn."""
    turns: tuple[UserTurn, ...]

    def tools_offered_at(self, turn_index: int) -> tuple[ToolDocument, ...]:
        """Return the documents of the tools that can be called in a turn (index from 0)."""
        later = {name for turn in self.turns[turn_index + 1 :] for name in turn.new_tools}
        return tuple(tool for tool in self.tools if tool.name not in later)

    def tools_handed_over_at(self, turn_index: int) -> tuple[ToolDocument, ...]:
        """Return the documents of the tools that are new in a turn (index from 0); in turn 0, all that are offered."""
        if turn_index == 0:
            return self.tools_offered_at(0)
        new = set(self.turns[turn_index].new_tools)
        return tuple(tool for tool in self.tools if tool.name in new)


def leaves(argument: Any) -> Iterator[Any]:
    """Yield the texts, numbers and truth values in an argument, however deep in lists and mappings."""
    if isinstance(argument, Mapping):
        argument = argument.values()
    elif not isinstance(argument, list | tuple):
        yield argument
        return
    for part in argument:
        yield from leaves(part)
