"""Immutable records of a task, its user turns and its tools."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from envtune.errors import UserError


class TextEnum(str, Enum):
    """An enumeration whose members are their text, also when formatted."""

    def __str__(self) -> str:
        return self.value


class Split(TextEnum):
    """The split of a task. Validation tasks are drawn from the held-out side."""

    TRAIN = "train"
    VAL = "val"
    TEST = "test"


def require_split(name: str) -> Split:
    """Return the split of a name.

    Raises:
        UserError: the name is unknown.
    """
    if name not in list(Split):
        raise UserError(f"split {name!r} is unknown: use one of {', '.join(Split)}")
    return Split(name)


@dataclass(frozen=True, slots=True)
class ToolCall:
    """A call of one tool."""

    name: str
    arguments: Mapping[str, Any]
    """By parameter. A world copies mutable values before the call runs."""


REQUIRED_CUE = "[required]"
"""Stands before the description of a required argument in documents with cues (docs/augmentation.md)."""


@dataclass(frozen=True, slots=True)
class ToolDocument:
    """One tool as documented to the agent."""

    name: str
    description: str
    parameters: Mapping[str, Any]
    """The JSON schema of the arguments. Its outer type is ``object``, or ``dict`` in BFCL's dialect."""
    response: Mapping[str, Any] = field(default_factory=dict)
    domain: str = ""
    """The name of the class that has the tool."""


Check = Callable[[Any, str], "bool | float"]
"""Judges the end of a turn from the world's view and the agent's answer ("" without one): a share in [0, 1]."""


@dataclass(frozen=True, slots=True)
class UserTurn:
    """One user message and what answers it: the calls that the twin runs, or a check of the goal."""

    message: str
    """Empty if the turn only hands over ``new_tools``."""
    ground_truth: tuple[ToolCall, ...] = ()
    """Empty if the turn should be answered without a call, or has a check."""
    new_tools: tuple[str, ...] = ()
    """The names of tools that can be called from this turn on."""
    check: Check | None = None
    """Replaces the comparison with the twin, which still runs the ground truth for the turns that follow."""


@dataclass(frozen=True, slots=True)
class Task:
    """One task: an initial state, the user's turns and the tools."""

    id: str
    group: str
    """The kind of task, such as ``base`` or ``miss_func``: stages choose tasks by it, and scores are reported by it."""
    world: Any
    """The initial state, in the form that the task's environment opens."""
    turns: tuple[UserTurn, ...]
    tools: tuple[ToolDocument, ...] = ()
    """The documents of all tools, including those handed over in a later turn."""

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


def call(tool: str, /, **arguments: Any) -> ToolCall:
    """Return a call of a tool, for ground truths."""
    return ToolCall(tool, arguments)
