"""Any plain Python class as an environment: public methods are tools, public attributes are its state.

A class whose state is elsewhere, such as in a database, defines ``state()``, whose values are compared instead, and
``__deepcopy__``, where ``copy.deepcopy`` cannot copy its attributes.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from envtune.environment.augmentation.rule import Rule
from envtune.environment.bounded_call import bounded_call, failure_text
from envtune.environment.limits import LimitExceeded, ResultBudget, check_arguments
from envtune.environment.limits.size import Size, measure_state
from envtune.environment.python_tools import ArgumentsRefused, PythonTool, tools_of
from envtune.environment.result_text import result_text
from envtune.errors import UserError
from envtune.task import Task, ToolCall, ToolDocument
from envtune.trajectory import ToolResult

MAX_STATE_CHARACTERS = 1_000_000
MAX_STATE_VALUES = 20_000
STATE = "state"


class PythonWorld:
    """One object of the class, in one episode.

    Args:
        instance: the object, which no other world shares.
        tools: the tools of the task by name.
    """

    def __init__(self, instance: Any, tools: Mapping[str, PythonTool]) -> None:
        self._instance, self._tools = instance, tools
        self._offered = frozenset(tools)

    @property
    def tools(self) -> frozenset[str]:
        """The names of the tools that can be called now."""
        return self._offered

    @property
    def view(self) -> Any:
        """The object itself."""
        return self._instance

    def offer(self, names: Iterable[str]) -> None:
        """Restrict calls to these tools of the task."""
        self._offered = frozenset(self._tools.keys() & names)

    def call(self, call: ToolCall, budget: ResultBudget | None = None) -> ToolResult:
        """Run one call. It fails if the method raises an exception or returns a dict with the key ``error``.

        A call after which the state would exceed ``MAX_STATE_CHARACTERS`` or ``MAX_STATE_VALUES`` is undone.
        """
        return bounded_call(call, budget, self._answer)

    def copy(self) -> PythonWorld:
        """Return a world in the present state that shares nothing with this one."""
        copied = copy.copy(self)
        copied._instance = self._copied()
        return copied

    def same_as(self, other: PythonWorld) -> bool:
        """Return whether ``state()``, or without it every public attribute, is equal.

        Raises:
            UserError: the values cannot be compared.
        """
        try:
            return bool(state_of(self._instance) == state_of(other._instance))
        except Exception as error:
            raise UserError(
                f"two states of {type(self._instance).__name__} cannot be compared ({error}): define {STATE}(), which "
                "returns plain values"
            ) from error

    def _answer(self, call: ToolCall) -> tuple[bool, str]:
        if call.name not in self._offered:
            return False, failure_text(NameError(f"{call.name[:80]!r} is not a tool that is offered now"))
        check_arguments(call)
        try:
            arguments = self._tools[call.name].arguments(call.arguments)
        except ArgumentsRefused as error:
            return False, failure_text(error)
        restored = self._restorer()
        try:
            value = getattr(self._instance, call.name)(**arguments)
            text = result_text(value)
        except MemoryError as error:
            self._instance = restored()
            raise LimitExceeded("the call needs more memory than there is") from error
        # A tool that ends the process must not end the run. KeyboardInterrupt is the user's, not the tool's.
        except (Exception, SystemExit) as error:
            return False, failure_text(error)
        size = self._size()
        if size.characters > MAX_STATE_CHARACTERS or size.values > MAX_STATE_VALUES:
            self._instance = restored()
            raise LimitExceeded(
                f"the state would grow too large; {MAX_STATE_CHARACTERS} characters and {MAX_STATE_VALUES} values are "
                "allowed"
            )
        return not (isinstance(value, dict) and "error" in value), text

    def _restorer(self) -> Callable[[], Any]:
        """Return a function that returns the object in its present state, to undo a call."""
        before = self._copied()
        return lambda: before

    def _size(self) -> Size:
        return measure_state(state_of(self._instance))

    def _copied(self) -> Any:
        try:
            return copy.deepcopy(self._instance)
        except Exception as error:
            raise UserError(
                f"{type(self._instance).__name__} cannot be copied ({type(error).__name__}: {error}): keep the state "
                "in plain values, or define __deepcopy__"
            ) from error


def state_of(instance: Any) -> Any:
    """Return what is compared of an object: the value of ``state()``, or its public attributes by name."""
    if hasattr(type(instance), STATE):
        return instance.state()
    return {name: value for name, value in attributes_of(instance).items() if name[0] != "_"}


def attributes_of(instance: Any) -> dict[str, Any]:
    """Return all attributes of an object by name, those in slots included."""
    slots = [name for base in type(instance).__mro__ for name in getattr(base, "__slots__", ())]
    names = [*getattr(instance, "__dict__", ()), *(name for name in slots if hasattr(instance, name))]
    return {name: getattr(instance, name) for name in names}


class PythonEnvironment:
    """A plain Python class as an environment.

    Args:
        cls: the class. Its public methods are the tools, documented by their type hints and docstrings; its public
            attributes, or what its method ``state()`` returns, are the state that is compared with the twin's.
        hints: the hint table for failed results, the most specific rule first.
        non_answers: the hint table for results with ``ok`` that mean "nothing found" or "nothing done".
        name: the name in records of runs; by default that of the class.

    Raises:
        UserError: a public method cannot be a tool, or a rule names an unknown tool or argument.
    """

    # A turn without ground truth asks for an answer: an agent that calls a tool there has failed it.
    judges_answers = True
    covers_schema = False

    def __init__(
        self, cls: type, hints: Iterable[Rule] = (), non_answers: Iterable[Rule] = (), name: str | None = None
    ) -> None:
        self._cls, self._tools = cls, tools_of(cls)
        self.name = name or cls.__name__
        self.rules, self.non_answers = tuple(hints), tuple(non_answers)
        parameters = {name: tool.document.parameters["properties"] for name, tool in self._tools.items()}
        for rule in (*self.rules, *self.non_answers):
            if fault := rule.fault_among(parameters):
                raise UserError(fault)

    @property
    def documents(self) -> tuple[ToolDocument, ...]:
        """The documents of all tools, in the order of their definition."""
        return tuple(tool.document for tool in self._tools.values())

    def open(self, task: Task) -> PythonWorld:
        """Return a world with a new object, made with ``task.world`` as keyword arguments.

        Raises:
            UserError: the object cannot be made.
        """
        try:
            instance = self._cls(**copy.deepcopy(dict(task.world)))
        except Exception as error:
            raise UserError(
                f"the world of task {task.id} cannot be made: {self._cls.__name__}(**task.world) raises "
                f"{type(error).__name__} ({' '.join(str(error).split())})"
            ) from error
        return PythonWorld(instance, {tool.name: self._tools[tool.name] for tool in task.tools})

    def domain_of(self, tool: str) -> str | None:
        """Return the name of the class."""
        return self._cls.__name__ if tool in self._tools else None
