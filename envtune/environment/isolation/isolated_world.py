"""A world in a worker process, which survives the end of that process."""

from __future__ import annotations

import itertools
import pickle
import weakref
from collections.abc import Iterable
from contextlib import suppress
from typing import Any

from envtune.environment.bounded_call import failure_text
from envtune.environment.isolation.remote_view import RemoteView
from envtune.environment.isolation.worker_process import WorkerProcess
from envtune.environment.limits import LimitExceeded, ResultBudget, check_arguments
from envtune.errors import UserError
from envtune.task import Task, ToolCall
from envtune.trajectory import ToolResult

_KEYS = itertools.count()

Step = tuple[Any, ...]
"""An operation that changed the world, by its name, and its arguments."""


class IsolatedWorld:
    """A world in a worker. After the worker's end it is rebuilt in the next one, from its task and past steps.

    A step that exceeds a limit when it is repeated is left out from then on.

    Args:
        worker: the worker.
        task: the task, in a form that can be pickled.
        offered: the names of the tools that can be called; None for all of the task.
        steps: what has happened in the world so far.
    """

    def __init__(
        self, worker: WorkerProcess, task: Task, offered: frozenset[str] | None = None, steps: Iterable[Step] = ()
    ) -> None:
        self._worker, self._task, self._steps = worker, task, list(steps)
        self._all = frozenset(tool.name for tool in task.tools)
        self._offered = self._all if offered is None else offered
        self._key, self._parts = next(_KEYS), itertools.count(1)
        # The process that has the world, by the number of its predecessors.
        self._life: int | None = None
        weakref.finalize(self, worker.forget, self._key).atexit = False

    @property
    def tools(self) -> frozenset[str]:
        """The names of the tools that can be called now."""
        return self._offered

    @property
    def view(self) -> RemoteView:
        """The view of the world in the worker."""
        return self._part(0)

    def offer(self, names: Iterable[str]) -> None:
        """Restrict calls to these tools of the task."""
        self._offered = self._all & frozenset(names)
        self._steps.append(("offer", self._offered))
        with suppress(LimitExceeded):  # then the next operation repeats the step in another process
            self._ask(*self._steps[-1])

    def call(self, call: ToolCall, budget: ResultBudget | None = None) -> ToolResult:
        """Run a call. One that exceeds a limit of time or memory, or ends its process, has failed and is undone."""
        budget = budget or ResultBudget()
        step = ("call", call, budget.left)
        try:
            check_arguments(call)
            ok, text, budget.left = self._ask(*step)
        except LimitExceeded as error:
            return ToolResult(call, False, failure_text(error))
        self._steps.append(step)
        return ToolResult(call, ok, text)

    def copy(self) -> IsolatedWorld:
        """Return a world in the present state, in the same worker."""
        copied = IsolatedWorld(self._worker, self._task, self._offered, self._steps)
        with self._worker.lock:
            try:
                self._ask("copy", copied._key)
            except LimitExceeded as error:
                raise UserError(f"a world of task {self._task.id} cannot be copied: {error}") from error
            copied._life = self._life
        return copied

    def same_as(self, other: IsolatedWorld) -> bool:
        """Return whether the states are equal. A comparison that exceeds a limit has found a difference."""
        with self._worker.lock:
            while not (self._is_there() and other._is_there()):
                self.rebuild()
                other.rebuild()
            try:
                return bool(self._worker.ask("same_as", self._key, other._key))
            except LimitExceeded:
                return False

    def rebuild(self) -> None:
        """Open the world in the worker and repeat its steps, unless it is there.

        Raises:
            UserError: the world cannot be opened.
        """
        with self._worker.lock:
            while not self._is_there():
                self._open()
                self._repeat()

    def _open(self) -> None:
        try:
            self._worker.ask("open", self._key, self._task)
        except LimitExceeded as error:
            raise UserError(
                f"the world of task {self._task.id} cannot be opened: {error}; raise environment.call_seconds or "
                "environment.call_megabytes if it needs more"
            ) from error
        self._life = self._worker.lives

    def _repeat(self) -> None:
        """Repeat the steps; drop the one that ends the worker, if any."""
        for index, (operation, *arguments) in enumerate(self._steps):
            try:
                self._worker.ask(operation, self._key, *arguments)
            except LimitExceeded:
                del self._steps[index]
                return

    def _is_there(self) -> bool:
        self._worker.notice_end()
        return self._life == self._worker.lives

    def _ask(self, operation: str, *arguments: Any) -> Any:
        with self._worker.lock:
            self.rebuild()
            return self._worker.ask(operation, self._key, *arguments)

    def _part(self, part: int) -> RemoteView:
        def read(operation: str, *positional: Any, **named: Any) -> Any:
            new = next(self._parts)
            value = self._ask("read", part, new, operation, positional, named)
            return self._part(new) if value is None else pickle.loads(value)

        return RemoteView(read)
