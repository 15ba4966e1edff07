"""Replay of ground truths, and of changed copies of them, against the checker."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from envtune.bfcl.environment import BFCL_ENVIRONMENT
from envtune.environment.judge import Judge
from envtune.task import Task, ToolCall

Calls = Sequence[Sequence[ToolCall]]


@dataclass(frozen=True, slots=True)
class Place:
    """The place of a value in a ground truth."""

    turn: int
    """From 0."""
    call: int
    """Its position in the turn, from 0."""
    parameter: str


def ground_truth(task: Task) -> list[list[ToolCall]]:
    """Return the ground-truth calls of each turn, as a copy that can be changed."""
    return [list(turn.ground_truth) for turn in task.turns]


def passes(task: Task, calls: Calls, as_offered: bool = False) -> bool:
    """Return BFCL's verdict on the calls of all turns, without its rule that a turn with ground truth needs a call.

    Args:
        task: the task.
        calls: the calls of each turn.
        as_offered: allow only the tools that each turn offers, instead of all.
    """
    agent = BFCL_ENVIRONMENT.open(task)
    judge = Judge(BFCL_ENVIRONMENT, task, agent)
    for index in range(len(task.turns)):
        if as_offered:
            agent.offer(tool.name for tool in task.tools_offered_at(index))
        judge.see(agent.call(call).text for call in calls[index])
        if not judge.verdict(index, called=True, answer="").passed_officially:
            return False
    return True


def passes_with(task: Task, place: Place, value: Any, other: Any) -> bool:
    """Return the verdict on the ground truth with ``value`` at one place replaced by ``other``."""
    calls = ground_truth(task)
    call = calls[place.turn][place.call]
    argument = _replaced(call.arguments[place.parameter], value, other)
    calls[place.turn][place.call] = ToolCall(call.name, {**call.arguments, place.parameter: argument})
    return passes(task, calls)


def passes_without(task: Task, turn: int, call: int) -> bool:
    """Return the verdict on the ground truth without one of its calls."""
    calls = ground_truth(task)
    del calls[turn][call]
    return passes(task, calls)


def _replaced(argument: Any, value: Any, other: Any) -> Any:
    if isinstance(argument, Mapping):
        return {name: _replaced(part, value, other) for name, part in argument.items()}
    if isinstance(argument, list | tuple):
        return [_replaced(part, value, other) for part in argument]
    return other if type(argument) is type(value) and argument == value else argument
