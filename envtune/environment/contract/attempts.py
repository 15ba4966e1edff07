"""Calls that go wrong where they belong, with what the agent had read and written by then."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field

from envtune.environment.augmentation import Hints
from envtune.environment.contract.trial import Trial, ground_truth
from envtune.environment.contract.wrong_calls import wrong_calls
from envtune.environment.interface import World
from envtune.task import Task, ToolCall
from envtune.trajectory import Hint, ToolResult


@dataclass(frozen=True, slots=True)
class Attempt:
    """A call that failed or got a hint."""

    result: ToolResult
    hint: Hint | None
    read: tuple[str, ...]
    """What the agent had read and written before the call."""

    @property
    def known(self) -> str:
        """All that the agent had read and written when it read the hint."""
        return "\n".join((*self.read, _written(self.result.call), self.result.text))


@dataclass
class _Player:
    world: World
    hints: Hints
    texts: list[str] = field(default_factory=list)

    def open_turn(self, task: Task, index: int) -> None:
        self.world.offer(tool.name for tool in task.tools_offered_at(index))
        self.texts.append(task.turns[index].message)
        for tool in task.tools_handed_over_at(index):
            self.texts.append(f"{tool.name} {tool.description} {json.dumps(tool.parameters, default=str)}")

    def attempt(self, call: ToolCall) -> Iterator[Attempt]:
        read = tuple(self.texts)
        result = self.world.call(call)
        hint = self.hints.hint(result, self.world)
        self.texts += [_written(call), result.text]
        if hint or not result.ok:
            yield Attempt(result, hint, read)

    def aside(self) -> _Player:
        return _Player(self.world.copy(), self.hints, list(self.texts))


def attempts(trial: Trial, task: Task) -> Iterator[Attempt]:
    """Yield the attempts of one task: each ground-truth call gone wrong, and all calls in worlds not ready for them.

    Wrong calls of unruly tools are left out.
    """
    calls = ground_truth(task)
    player = _new_player(trial, task)
    for index, turn in enumerate(task.turns):
        player.open_turn(task, index)
        for call in turn.ground_truth:
            # Some wrong calls succeed, and must not lead the others astray.
            aside = player.aside()
            for wrong in (*wrong_calls(call, calls), call, call):
                if call.name not in trial.unruly:
                    aside.texts = list(player.texts)
                    yield from aside.attempt(wrong)
            yield from player.attempt(call)
    for name in dict.fromkeys(call.name for call in calls):
        yield from _replay(trial, task, left_out={name})
    early = _new_player(trial, task)
    early.open_turn(task, 0)
    for call in reversed(calls):
        yield from early.attempt(call)


def _replay(trial: Trial, task: Task, left_out: Collection[str]) -> Iterator[Attempt]:
    player = _new_player(trial, task)
    for index, turn in enumerate(task.turns):
        player.open_turn(task, index)
        for call in turn.ground_truth:
            if call.name not in left_out:
                yield from player.attempt(call)


def _new_player(trial: Trial, task: Task) -> _Player:
    return _Player(trial.environment.open(task), trial.augmentation.for_episode(trial.environment, task, seed=0))


def _written(call: ToolCall) -> str:
    return f"{call.name} {json.dumps(dict(call.arguments), ensure_ascii=False, default=str)}"
