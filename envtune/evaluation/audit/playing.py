"""Playing ground truths and changed copies of them against the checker, without a model."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from envtune.environment.checker import judge_responses, judge_state
from envtune.environment.toolbox import Toolbox
from envtune.environment.twin import twin_turns
from envtune.task import Task, ToolCall

Calls = Sequence[Sequence[ToolCall]]


@dataclass(frozen=True, slots=True)
class Place:
    """Where a value stands in a ground truth: the turn, the call in it (both from 0) and the call's parameter."""

    turn: int
    call: int
    parameter: str


def ground_truth(task: Task) -> list[list[ToolCall]]:
    return [list(turn.ground_truth) for turn in task.turns]


def passes(task: Task, calls: Calls, as_offered: bool = False) -> bool:
    """BFCL's verdict on these calls, turn by turn. ``as_offered``: with the tools that each turn offers, else all.

    Not judged here: that a turn with ground truth needs a call.
    """
    agent = Toolbox(task)
    seen: Counter[str] = Counter()
    for index, (turn, twin) in enumerate(zip(task.turns, twin_turns(task), strict=True)):
        if as_offered:
            agent.offer(tool.name for tool in task.tools_offered_at(index))
        seen.update(agent.call(call).text for call in calls[index])
        if turn.ground_truth and not (judge_state(agent, twin) and judge_responses(seen, twin.results)):
            return False
    return True


def passes_with(task: Task, place: Place, value: Any, other: Any) -> bool:
    """The verdict on the ground truth with ``other`` in the place of ``value``."""
    calls = ground_truth(task)
    call = calls[place.turn][place.call]
    argument = _replaced(call.arguments[place.parameter], value, other)
    calls[place.turn][place.call] = ToolCall(call.name, {**call.arguments, place.parameter: argument})
    return passes(task, calls)


def passes_without(task: Task, turn: int, call: int) -> bool:
    """The verdict on the ground truth without one of its calls."""
    calls = ground_truth(task)
    del calls[turn][call]
    return passes(task, calls)


def leaves(value: Any) -> Iterator[Any]:
    """The texts and numbers inside an argument."""
    if isinstance(value, Mapping):
        for part in value.values():
            yield from leaves(part)
    elif isinstance(value, list | tuple):
        for part in value:
            yield from leaves(part)
    else:
        yield value


def written(call: ToolCall) -> str:
    """The call as Python source."""
    return f"{call.name}({', '.join(f'{name}={value!r}' for name, value in call.arguments.items())})"


def _replaced(argument: Any, value: Any, other: Any) -> Any:
    if isinstance(argument, Mapping):
        return {name: _replaced(part, value, other) for name, part in argument.items()}
    if isinstance(argument, list | tuple):
        return [_replaced(part, value, other) for part in argument]
    return other if type(argument) is type(value) and argument == value else argument
