"""The tools of one episode and the results of their calls.

BFCL's own executor evaluates source code and keeps every object for the life of the process. Here a call is a look-up
among the documented tools of live objects that belong to one toolbox. State cannot leak from one episode to the next
through the classes: worlds are copies (envtune/bfcl/worlds.py), mutable defaults of parameters are copied for
each call, and the numerical precision is restored after it.

Two messages depend on the order of a set, and so on PYTHONHASHSEED; their parts are sorted. Two tools depend on the
day or the time zone; they read a fixed clock. Not covered: mpmath's precision is process-wide while a call runs, so
calls must not run in parallel threads.
"""

from __future__ import annotations

import copy
import decimal
import inspect
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from types import MappingProxyType
from typing import Any

import mpmath

from envtune.bfcl.limits.growth import WorldGrowth
from envtune.bfcl.limits.tool_arguments import check_tool_arguments
from envtune.bfcl.limits.tree import TREE_TOOLS, run_in_bounded_tree
from envtune.bfcl.worlds import CLASSES, LONG_LISTS, copy_worlds, new_worlds, same_worlds
from envtune.environment.bounded_call import bounded_call, failure_text
from envtune.environment.identity_cache import cached_by_identity
from envtune.environment.limits import ResultBudget, check_arguments
from envtune.task import Task, ToolCall
from envtune.trajectory import ToolResult

# False under these keys is a failure of these tools; in status queries, which use the same keys, it is an answer.
FAILURE_WHEN_FALSE = {
    "authenticate_twitter": "authentication_status",
    "message_login": "login_status",
    "ticket_login": "success",
    "logout": "success",
    "follow_user": "follow_status",
    "unfollow_user": "unfollow_status",
}
# A rejected traveler has been verified; with these reasons the tool could not verify.
UNVERIFIABLE = ("Expected None None", "Invalid date of birth format")
UNORDERED_MESSAGES = (("Invalid fields for update: ", ""), ("Invalid travel class. Must be one of {", "}"))


def _tool_functions(toolbox: type) -> dict[str, Callable[..., Any]]:
    return {name: f for name, f in inspect.getmembers(toolbox, inspect.isfunction) if not name.startswith("_")}


def _mutable_defaults(function: Callable[..., Any]) -> dict[str, Any]:
    parameters = inspect.signature(function).parameters.values()
    return {p.name: copy.deepcopy(p.default) for p in parameters if isinstance(p.default, list | dict | set)}


_TOOLS = {name: frozenset(_tool_functions(toolbox)) for name, toolbox in CLASSES.items()}
_FUNCTIONS = {name: function for toolbox in CLASSES.values() for name, function in _tool_functions(toolbox).items()}
# These set the precision of decimal and mpmath for the whole process.
_NUMERIC = _TOOLS["MathAPI"]
MAX_TASKS = 2_000
_NOTHING_TO_KEEP = nullcontext()
_IMMUTABLE = frozenset({str, int, float, bool, type(None)})
_MUTABLE_DEFAULTS = {name: defaults for name, f in _FUNCTIONS.items() if (defaults := _mutable_defaults(f))}

# Every tool's parameters in the order of its signature, from which one document (purchase_insurance) differs.
PARAMETERS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {name: tuple(inspect.signature(function).parameters)[1:] for name, function in _FUNCTIONS.items()}
)


class Toolbox:
    """The tools of one task on live worlds in the task's initial state.

    At first every documented tool can be called, including those that the task hands over in a later turn, because the
    twin and the scorer need all of them; ``offer`` restricts them.
    """

    def __init__(self, task: Task) -> None:
        self._start(new_worlds(task), _world_of_each_tool(task))

    def _start(self, worlds: Mapping[str, Any], world_of: Mapping[str, str]) -> None:
        self._worlds, self._world_of = worlds, world_of
        self._offered = frozenset(world_of)
        self._growth = WorldGrowth(worlds)

    def copy(self) -> Toolbox:
        """Return the tools on unshared copies of the worlds in their present state."""
        copied = object.__new__(Toolbox)
        copied._start(copy_worlds(self._worlds), self._world_of)
        copied._offered = self._offered
        return copied

    def same_as(self, other: Toolbox) -> bool:
        """Return True if every public attribute of every world equals the other's."""
        return same_worlds(self._worlds, other._worlds)

    @property
    def tools(self) -> frozenset[str]:
        """The names of the tools that can be called now."""
        return self._offered

    @property
    def view(self) -> Mapping[str, Any]:
        """The live objects by the names of their classes. Only a call may change them."""
        return MappingProxyType(self._worlds)

    def offer(self, names: Iterable[str]) -> None:
        """Restrict calls to these documented tools."""
        self._offered = frozenset(self._world_of.keys() & names)

    def call(self, call: ToolCall, budget: ResultBudget | None = None) -> ToolResult:
        """Run one call; every failure of it is a result and never an exception.

        Args:
            call: the call.
            budget: limits the results of all calls of one response together; by default this call has its own.

        Returns:
            The text that BFCL's executor writes: a string unchanged, a dict as JSON (or ``str`` if that fails),
            anything else as ``str``, an exception after ``Error during execution:``. ``ok`` is False for an exception,
            a reported error (also inside a list), a login, logout, follow or unfollow that returns False, and a
            traveler who could not be verified. Values for "nothing found", such as the zip code 00000, and a rejected
            traveler are answers.
        """
        return bounded_call(call, budget, self._answer)

    def _answer(self, call: ToolCall) -> tuple[bool, str]:
        try:
            with _precision_kept() if call.name in _NUMERIC else _NOTHING_TO_KEEP:
                value = _in_order(self._run(call))
                text = _text(value)
        except Exception as error:
            return False, failure_text(error)
        return not _reports_failure(call.name, value), text

    def _run(self, call: ToolCall) -> Any:
        if call.name not in self._offered:
            raise NameError(f"name {call.name[:80]!r} is not defined, as no such tool is offered")
        size = check_arguments(call)
        check_tool_arguments(call)
        self._growth.admit(size)
        method = getattr(self._worlds[self._world_of[call.name]], call.name)
        arguments = {**_MUTABLE_DEFAULTS.get(call.name, {}), **call.arguments}
        if not _IMMUTABLE.issuperset(map(type, arguments.values())):
            arguments = copy.deepcopy(arguments)
        if call.name in TREE_TOOLS:
            return run_in_bounded_tree(method.__self__, lambda: method(**arguments))
        return method(**arguments)


@cached_by_identity(MAX_TASKS)
def _world_of_each_tool(task: Task) -> Mapping[str, str]:
    """Map each documented tool of the task's classes to the name of its class."""
    documented = frozenset(tool.name for tool in task.tools)
    return {tool: name for name in task.world.toolboxes for tool in _TOOLS[name] & documented}


@contextmanager
def _precision_kept() -> Iterator[None]:
    precision = mpmath.mp.prec
    with decimal.localcontext():
        try:
            yield
        finally:
            if mpmath.mp.prec != precision:
                mpmath.mp.prec = precision


def _text(value: Any) -> str:
    if type(value) is str:
        return value
    if type(value) is dict:
        try:
            return _json(value)
        except Exception:  # BFCL's executor writes str() after any failure, and results must not differ
            return str(value)
    return str(value)


def _json(value: dict[Any, Any]) -> str:
    """Return the text of ``json.dumps``, with precomputed text for long lists."""
    if LONG_LISTS.keys().isdisjoint(map(id, value.values())):
        return json.dumps(value)
    pairs = {key: LONG_LISTS.get(id(part)) or json.dumps(part) for key, part in value.items()}
    return "{" + ", ".join(f"{json.dumps(str(key))}: {text}" for key, text in pairs.items()) + "}"


def _in_order(value: Any) -> Any:
    """Return ``value``, with the parts of an unordered message sorted."""
    message = value.get("error") if type(value) is dict else None
    if isinstance(message, str):
        for start, end in UNORDERED_MESSAGES:
            if message.startswith(start):
                parts = sorted(message[len(start) : len(message) - len(end)].split(", "))
                return {**value, "error": f"{start}{', '.join(parts)}{end}"}
    return value


def _reports_failure(tool: str, value: Any) -> bool:
    if isinstance(value, dict):
        unverified = str(value.get("verification_failure", ""))
        return (
            "error" in value
            or value.get(FAILURE_WHEN_FALSE.get(tool, "")) is False
            or any(reason in unverified for reason in UNVERIFIABLE)
        )
    if isinstance(value, list) and len(value) == 1:
        return "error" in value[0] if isinstance(value[0], dict) else str(value[0]).startswith("Error: ")
    return False
