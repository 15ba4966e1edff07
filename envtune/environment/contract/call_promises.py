"""Promises 5 and 6: no call gets out of hand, and every tool is documented."""

from __future__ import annotations

import resource
import sys
from collections.abc import Iterator, Mapping
from typing import Any

from envtune.environment.contract.trial import Evidence, Trial, ground_truth
from envtune.environment.contract.watched_world import described
from envtune.environment.contract.wrong_calls import (
    HOSTILE_VALUES,
    STRANGE_NAMES,
    enlarged,
    hostile_calls,
    parameters_of_tool,
    wrong_calls,
)
from envtune.environment.fingerprint import size_of
from envtune.environment.interface import World
from envtune.environment.limits.result_budget import MAX_RESULT_CHARACTERS
from envtune.environment.python_world import MAX_STATE_CHARACTERS, MAX_STATE_VALUES
from envtune.errors import UserError
from envtune.task import Task, ToolCall, ToolDocument
from envtune.trajectory import ToolResult

REPEATS = 64
MAX_CALL_BYTES = 256 * 1024**2
_KIBIBYTES = 1 if sys.platform == "darwin" else 1024
_TYPES = {"type", "enum", "const", "anyOf", "oneOf", "allOf", "$ref"}


def calls_are_bounded(trial: Trial) -> Evidence:
    """Check that no call raises, hangs, ends the process or exceeds a limit, and that repeated ones stay in bounds."""
    for world, task, call in _attempts(trial):
        if call.name not in trial.unruly and (fault := _fault_of_call(world, call)):
            return Evidence(f"{task.id}: {described([call])} {fault}", tool=call.name)
    grown: set[str] = set(trial.unruly)
    for task in trial.distinct:
        world = trial.environment.open(task)
        for call in ground_truth(task):
            if call.name not in grown:
                grown.add(call.name)
                for repeated in (call, enlarged(call)):
                    if fault := _growth(world.copy(), repeated):
                        return Evidence(f"{task.id}: {described([repeated])} {fault}", tool=call.name)
            world.call(call)
    return Evidence()


def _attempts(trial: Trial) -> Iterator[tuple[World, Task, ToolCall]]:
    """Yield calls with the world to make each in: hostile ones, small ones first, each in a world of its own.

    Then every ground truth in its world, with wrong calls of each tool beside its first right one.
    """
    first = trial.distinct[0]
    opened = {first.id: trial.environment.open(first)}
    yield from ((opened[first.id].copy(), first, ToolCall(name, {})) for name in STRANGE_NAMES)
    tools: dict[str, tuple[Task, ToolDocument, Mapping[str, Any]]] = {}
    for task in trial.distinct:
        known: dict[str, Mapping[str, Any]] = {call.name: call.arguments for call in reversed(ground_truth(task))}
        for tool in task.tools:
            if tool.name not in tools or (tool.name in known and not tools[tool.name][2]):
                tools[tool.name] = task, tool, known.get(tool.name, {})
    for task, tool, _ in tools.values():
        opened.setdefault(task.id, trial.environment.open(task))
        yield opened[task.id].copy(), task, ToolCall(tool.name, {})
    for value in HOSTILE_VALUES:
        for task, tool, right in tools.values():
            for call in hostile_calls(tool, right, value):
                yield opened[task.id].copy(), task, call
    placed: set[str] = set()
    for task in trial.distinct:
        world, calls = trial.environment.open(task), ground_truth(task)
        for call in calls:
            if call.name not in placed:
                placed.add(call.name)
                aside = world.copy()
                yield from ((aside, task, wrong) for wrong in (*wrong_calls(call, calls), call, call))
            yield world, task, call


def _fault_of_call(world: World, call: ToolCall) -> str | None:
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    try:
        result = world.call(call)
    except UserError:
        raise
    # SystemExit and its like are what is looked for.
    except BaseException as error:
        return f"raises {type(error).__name__} ({' '.join(str(error).split())[:200]})"
    if not isinstance(result, ToolResult) or not isinstance(result.text, str) or not isinstance(result.ok, bool):
        return f"returns {type(result).__name__} instead of a ToolResult with a truth value and a text"
    if len(result.text) > MAX_RESULT_CHARACTERS:
        return f"returns {len(result.text)} characters; {MAX_RESULT_CHARACTERS} are allowed"
    try:
        result.text.encode()
    except UnicodeEncodeError:
        return "returns half of a surrogate pair, which cannot be written"
    taken = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - peak) * _KIBIBYTES
    return f"takes {taken >> 20} MB of memory; {MAX_CALL_BYTES >> 20} are allowed" if taken > MAX_CALL_BYTES else None


def _growth(world: World, call: ToolCall) -> str | None:
    for count in range(1, REPEATS + 1):
        if fault := _fault_of_call(world, call):
            return f"{fault}, the {count}th time" if count > 1 else fault
        if count & (count - 1) == 0:
            size = size_of(world.view)
            if size.characters > MAX_STATE_CHARACTERS or size.values > MAX_STATE_VALUES:
                return (
                    f"{count} times leads to a state of {size.characters} characters and {size.values} values; "
                    f"{MAX_STATE_CHARACTERS} and {MAX_STATE_VALUES} are allowed"
                )
    return None


def tools_are_documented(trial: Trial) -> Evidence:
    """Check that every tool has a description, and every argument a type and a description."""
    tools = {tool.name: tool for task in trial.distinct for tool in task.tools}
    for tool in tools.values():
        if not tool.description.strip():
            return Evidence(f"{tool.name} has no description", tool=tool.name)
    for tool in tools.values():
        for name, schema in parameters_of_tool(tool).items():
            if not _TYPES.intersection(schema):
                return Evidence(f"{tool.name}: the argument {name} has no type", tool=tool.name)
            if not str(schema.get("description", "")).strip():
                return Evidence(f"{tool.name}: the argument {name} has no description", tool=tool.name)
    return Evidence()
