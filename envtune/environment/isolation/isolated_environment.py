"""An environment whose worlds are in worker processes."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Annotated, Literal

from pydantic import Field

from envtune.checked import Count, Positive, checked
from envtune.environment.augmentation.rule import Rule
from envtune.environment.interface import Environment
from envtune.environment.isolation.isolated_world import IsolatedWorld
from envtune.environment.isolation.worker_process import WorkerProcess
from envtune.task import Task, ToolDocument

# Types of the settings of environments that can be isolated.
Isolation = Annotated[Literal["process"] | None, Field(description="null plays worlds in the process of the run")]
Megabytes = Annotated[int, Field(ge=16, description="a call needs some memory")]


@checked
class IsolatedEnvironment:
    """An environment around another one, with limits on each call.

    All worlds of a task are in the same worker. Hint tables apply in this process: their conditions, and the checks of
    turns, read worlds through ``RemoteView``.

    Args:
        make: makes the environment, here and in each worker: a function of an importable module, or a partial of one.
        seconds: limit on the time of one call.
        megabytes: limit on the address space that one call adds.
        workers: the largest number of processes; tasks are spread over them.

    Raises:
        UserError: ``make`` cannot be sent to a process.
    """

    deterministic = False
    """Whether a call is stopped depends on the machine and its load."""

    def __init__(
        self,
        make: Callable[[], Environment],
        seconds: Positive = 10.0,
        megabytes: Megabytes = 1024,
        workers: Count = 4,
    ) -> None:
        self._inner = make()
        self.documents: tuple[ToolDocument, ...] = getattr(self._inner, "documents", ())
        """The documents of all tools."""
        self._workers = [WorkerProcess(make, seconds, megabytes) for _ in range(workers)]

    @property
    def name(self) -> str:
        """The name in records of runs."""
        return self._inner.name

    @property
    def rules(self) -> Sequence[Rule]:
        """Hints for failed results."""
        return self._inner.rules

    @property
    def non_answers(self) -> Sequence[Rule]:
        """Hints for results with ``ok`` that mean "nothing found" or "nothing done"."""
        return self._inner.non_answers

    @property
    def judges_answers(self) -> bool:
        """That of the inner environment."""
        return self._inner.judges_answers

    @property
    def covers_schema(self) -> bool:
        """That of the inner environment."""
        return self._inner.covers_schema

    def open(self, task: Task) -> IsolatedWorld:
        """Return a new world in the task's initial state.

        Raises:
            UserError: the world cannot be opened, or the task cannot be sent to a process.
        """
        # The checks of turns stay here: a function written in a module's list of tasks could not be sent.
        sent = replace(task, turns=tuple(replace(turn, check=None) for turn in task.turns))
        world = IsolatedWorld(self._workers[zlib.crc32(task.id.encode()) % len(self._workers)], sent)
        world.rebuild()
        return world

    def domain_of(self, tool: str) -> str | None:
        """Return the domain that a tool's failures are reported under; None for an unknown tool."""
        return self._inner.domain_of(tool)

    def close(self) -> None:
        """End the processes. A world that is used afterwards starts its worker again."""
        for worker in self._workers:
            with worker.lock:
                worker.close()
