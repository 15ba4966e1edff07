"""What a benchmark entry says: a task, its user turns and its tools. Immutable facts; nothing here runs them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any


class Category(str, Enum):
    """The four kinds of multi-turn task (the paper calls them splits)."""

    BASE = "base"
    MISS_FUNC = "miss_func"
    MISS_PARAM = "miss_param"
    LONG_CONTEXT = "long_context"

    def __str__(self) -> str:
        return self.value


class Split(str, Enum):
    """The side a task is on. Validation tasks are drawn from the held-out side."""

    TRAIN = "train"
    VAL = "val"
    TEST = "test"

    def __str__(self) -> str:
        return self.value


@dataclass(frozen=True, slots=True)
class ToolCall:
    """A tool's name and its arguments by name. Whoever runs it copies the arguments first."""

    name: str
    arguments: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class ToolDocument:
    """One tool as documented to the agent.

    ``parameters`` is BFCL's JSON schema (its outer type is ``dict``); ``toolbox`` names the class the tool belongs to.
    """

    name: str
    description: str
    parameters: Mapping[str, Any]
    response: Mapping[str, Any] = field(default_factory=dict)
    toolbox: str = ""


@dataclass(frozen=True, slots=True)
class UserTurn:
    """One user message and what answers it.

    ``message`` is empty where the turn only hands over ``new_tools``. ``ground_truth`` is empty where the right
    thing is to answer without a call.
    """

    message: str
    ground_truth: tuple[ToolCall, ...]
    new_tools: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Task:
    """One benchmark entry.

    ``scenario`` is the entry's number, the same in all four categories for the same story. ``toolboxes`` names the
    tool classes involved, ``initial_state`` maps each of them to the JSON it is loaded from, and ``tools`` documents
    all their tools, also those handed over in a later turn.
    """

    id: str
    category: Category
    scenario: int
    toolboxes: tuple[str, ...]
    initial_state: Mapping[str, Any]
    tools: tuple[ToolDocument, ...]
    turns: tuple[UserTurn, ...]

    def tools_offered_at(self, turn_index: int) -> tuple[ToolDocument, ...]:
        """The documents of the tools that may be called in the turn ``turn_index`` (from 0)."""
        later = {name for turn in self.turns[turn_index + 1 :] for name in turn.new_tools}
        return tuple(tool for tool in self.tools if tool.name not in later)

    def tools_handed_over_at(self, turn_index: int) -> tuple[ToolDocument, ...]:
        """The documents that first arrive in the turn ``turn_index``; in turn 0, all that are offered at once."""
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
