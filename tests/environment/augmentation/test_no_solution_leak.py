"""Over many failing calls of real tasks: a hint holds no right value that the agent has not written itself."""

from __future__ import annotations

import re
from collections.abc import Iterator

from error_surface import EXAMPLES
from test_augmentation_coverage import listed

from envtune.data.bfcl import load_bfcl_tasks
from envtune.environment.augmentation import python_errors
from envtune.environment.augmentation.actionable import Actionable
from envtune.environment.toolbox import Toolbox
from envtune.task import Task, ToolCall
from envtune.trajectory import Hint, ToolResult

# A word of the hints that is also the name of a folder in one task.
PLAIN_WORDS = {"document"}


def string_values(value: object) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        yield from (s for part in value.values() for s in string_values(part))
    elif isinstance(value, list | tuple):
        yield from (s for part in value for s in string_values(part))


def mutations(call: ToolCall) -> Iterator[ToolCall]:
    """Ways to get one argument wrong."""
    for name, value in call.arguments.items():
        yield ToolCall(call.name, {k: v for k, v in call.arguments.items() if k != name})
        wrong = ("nowhere", "folder/nowhere", "", 7, ["x"]) if isinstance(value, str) else (str(value), -1, 10**6, None)
        yield from (ToolCall(call.name, {**call.arguments, name: w}) for w in wrong)
    yield ToolCall(call.name, {**call.arguments, "colour": "red"})


def failures(task: Task) -> Iterator[tuple[ToolResult, Hint | None]]:
    played, untouched = Toolbox(task), Toolbox(task)
    for call in (call for turn in task.turns for call in turn.ground_truth):
        attempts = [(untouched, call), *((played, wrong) for wrong in mutations(call)), (played, call)]
        for toolbox, attempt in attempts:
            result = toolbox.call(attempt)
            if not result.ok:
                yield result, Actionable().hint(attempt, result.text, toolbox)


def sample() -> list[Task]:
    """Every twentieth scenario of each category: 40 tasks."""
    return [task for task in load_bfcl_tasks() if task.scenario % 20 == 7]


def test_no_hint_holds_a_right_value_that_the_agent_did_not_write():
    leaks = []
    for task in sample():
        right = {s for turn in task.turns for call in turn.ground_truth for s in string_values(dict(call.arguments))}
        secrets = {s for s in right if len(s) >= 4} - PLAIN_WORDS
        for result, hint in failures(task):
            written = " ".join(string_values(dict(result.call.arguments)))
            text = hint.text if hint else ""
            leaks += [(s, text) for s in secrets if s not in written and re.search(rf"\b{re.escape(s)}\b", text)]
    assert leaks == []


def test_every_failure_in_the_sample_is_reworded_or_listed():
    tables = {tool: table for table, tool, *_ in reversed(EXAMPLES)}
    results = [(result, hint) for task in sample() for result, hint in failures(task)]
    silent = {
        (result.call.name, result.text)
        for result, hint in results
        if hint is None and not listed(tables.get(result.call.name, python_errors), result.text)
    }
    assert silent == set()
    assert len(results) > 1000
