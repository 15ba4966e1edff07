"""What an environment provides: worlds to play in, tasks to play, and tables of hints."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

from envtune.environment.limits.result_budget import ResultBudget
from envtune.task import Split, Task, ToolCall
from envtune.trajectory import ToolResult

if TYPE_CHECKING:
    from envtune.environment.augmentation.rule import Rule


class World(Protocol):
    """The live state of one episode, which shares nothing with another one."""

    @property
    def tools(self) -> frozenset[str]:
        """The names of the tools that can be called now; at first, all tools of the task."""
        ...

    @property
    def view(self) -> Any:
        """The state as conditions of hint rules and checks of turns read it. They do not change it."""
        ...

    def offer(self, names: Iterable[str]) -> None:
        """Restrict calls to these tools of the task."""
        ...

    def call(self, call: ToolCall, budget: ResultBudget | None = None) -> ToolResult:
        """Run a call; whatever a model wrote in it, a failure is a result and not an exception.

        Args:
            call: the call. Its arguments are copied before a tool can change or keep them.
            budget: limits the results of all calls of one response together; by default this call has its own.
        """
        ...

    def copy(self) -> World:
        """Return a world in the present state that shares nothing with this one."""
        ...

    def same_as(self, other: Any) -> bool:
        """Return whether the states are equal: the comparison with the twin behind a verdict."""
        ...


class Environment(Protocol):
    """The tools and rules of a domain."""

    @property
    def name(self) -> str:
        """The name in records of runs."""
        ...

    @property
    def rules(self) -> Sequence[Rule]:
        """Hints for failed results, the most specific first."""
        ...

    @property
    def non_answers(self) -> Sequence[Rule]:
        """Hints for results with ``ok`` that mean "nothing found" or "nothing done"."""
        ...

    @property
    def covers_schema(self) -> bool:
        """True if ``rules`` cover calls that do not fit the tools' documents, so that no schema hints are added."""
        ...

    @property
    def judges_answers(self) -> bool:
        """False if a task succeeds whatever the agent does in turns without ground truth, as in BFCL."""
        ...

    def open(self, task: Task) -> World:
        """Return a new world in the task's initial state.

        Raises:
            UserError: the task's initial state cannot be opened.
        """
        ...

    def domain_of(self, tool: str) -> str | None:
        """Return the domain that a tool's failures are reported under; None for an unknown tool."""
        ...


class TaskSource(Protocol):
    """A source of the tasks of an environment."""

    def tasks(self, split: Split) -> Sequence[Task]:
        """Return the tasks of a split. Only those that are drawn are accessed, so that they can be made lazily."""
        ...

    def describe(self) -> dict[str, Any]:
        """Return what is needed to reproduce the tasks: versions, split, seeds, ids or sizes."""
        ...


@runtime_checkable
class AuditedSource(TaskSource, Protocol):
    """A source with a list of defective tasks."""

    def left_out(self) -> frozenset[str]:
        """Return the ids of the defective tasks, which audited scores leave out."""
        ...
