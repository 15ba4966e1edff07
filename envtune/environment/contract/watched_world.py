"""Worlds that write down which call they run, where another process can read it, and end a call that takes too long."""

from __future__ import annotations

import mmap
import reprlib
import signal
import struct
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from envtune.environment.interface import Environment, World
from envtune.environment.limits.result_budget import ResultBudget
from envtune.task import Task, ToolCall
from envtune.trajectory import ToolResult

_HEAD = struct.Struct("dHH")
_TEXT = 2_000
_SHORT = reprlib.Repr()
_SHORT.maxstring = _SHORT.maxother = _SHORT.maxlong = 60
_SHORT.maxlevel = 3


def described(calls: Sequence[ToolCall]) -> str:
    """Return calls as one would write them, with long values cut."""
    return ", ".join(
        f"{call.name}({', '.join(f'{name}={_SHORT.repr(value)}' for name, value in call.arguments.items())})"
        for call in calls
    )


class Watch:
    """The running call of a child process, in memory shared with its parent.

    Args:
        seconds: the time after which a call ends the process that runs it.
    """

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self._shared = mmap.mmap(-1, _HEAD.size + 2 * _TEXT)

    @contextmanager
    def during(self, tool: str, text: str) -> Iterator[None]:
        """Record that a call of ``tool`` runs, and end the process if it does not return."""
        name, sentence = tool.encode(errors="replace")[:_TEXT], text.encode(errors="replace")[:_TEXT]
        self._shared[_HEAD.size : _HEAD.size + len(name) + len(sentence)] = name + sentence
        self._shared[: _HEAD.size] = _HEAD.pack(time.monotonic(), len(name), len(sentence))
        # Without a handler the signal ends the process, even if the tool runs in C and lets no Python code run.
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        signal.setitimer(signal.ITIMER_REAL, self.seconds)
        try:
            yield
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
            self._shared[: _HEAD.size] = _HEAD.pack(0.0, 0, 0)

    def last(self) -> tuple[str, str]:
        """Return the tool and a sentence on the call during which the child ended; empty texts if there was none."""
        started, name, sentence = _HEAD.unpack(self._shared[: _HEAD.size])
        if not started:
            return "", ""
        texts = self._shared[_HEAD.size : _HEAD.size + name + sentence]
        late = time.monotonic() - started >= self.seconds
        ending = f"has not returned after {self.seconds:g} s" if late else "ends the process"
        return texts[:name].decode(), f"{texts[name:].decode()} {ending}"


class WatchedWorld:
    """A world whose calls a watch records."""

    def __init__(self, world: World, watch: Watch, task_id: str, earlier: int = 0) -> None:
        self._world, self._watch, self._task_id, self._earlier = world, watch, task_id, earlier

    @property
    def tools(self) -> frozenset[str]:
        """The names of the tools that can be called now."""
        return self._world.tools

    @property
    def view(self) -> Any:
        """The live state."""
        return self._world.view

    def offer(self, names: Iterable[str]) -> None:
        """Restrict calls to these tools of the task."""
        self._world.offer(names)

    def call(self, call: ToolCall, budget: ResultBudget | None = None) -> ToolResult:
        """Run a call."""
        after = f" after {self._earlier} calls" if self._earlier else ""
        self._earlier += 1
        with self._watch.during(call.name, f"{self._task_id}: {described([call])}{after}"):
            return self._world.call(call, budget)

    def copy(self) -> WatchedWorld:
        """Return a watched copy."""
        with self._watch.during("", f"{self._task_id}: copy() after {self._earlier} calls"):
            return WatchedWorld(self._world.copy(), self._watch, self._task_id, self._earlier)

    def same_as(self, other: WatchedWorld) -> bool:
        """Return whether the states are equal."""
        return self._world.same_as(other._world)


class WatchedEnvironment:
    """An environment whose worlds are watched."""

    def __init__(self, environment: Environment, watch: Watch) -> None:
        self._environment, self._watch = environment, watch
        self.name, self.judges_answers = environment.name, environment.judges_answers
        self.rules, self.non_answers = environment.rules, environment.non_answers
        self.covers_schema = environment.covers_schema

    def open(self, task: Task) -> WatchedWorld:
        """Return a new watched world."""
        with self._watch.during("", f"{task.id}: open()"):
            return WatchedWorld(self._environment.open(task), self._watch, task.id)

    def domain_of(self, tool: str) -> str | None:
        """Return the domain of a tool."""
        return self._environment.domain_of(tool)
