"""Our trajectories as result files of BFCL's own program (``bfcl-eval``), so that it can score what was played here.

``<folder>/result/<name>/multi_turn/BFCL_v4_multi_turn_<category>_result.json`` holds a JSON line for every task:
``{"id": …, "result": [turn][step]}``. A step is a list of ``{tool: arguments as JSON}`` where the agent called tools,
and the completion's text where it did not, which the official program passes over.

Only what ran is written as it was called. The official program builds source code from a call and evaluates it, and
knows neither our limits nor tools that a task withholds: a call that our environment turned down before it ran stands
as a call of ``not_run``, which is an error there too and changes nothing.

A turn that a limit cut off is left out. The number of turns is then not the task's, and the official program counts the
task as force-terminated, as our ``success`` does.
"""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from envtune import trajectory_file
from envtune.environment.limits import LimitExceeded, check_arguments
from envtune.environment.toolbox import PARAMETERS
from envtune.errors import UserError
from envtune.task import Category, Task, ToolCall
from envtune.trajectory import Step, ToolCalls, Trajectory, TurnEnd

NOT_RUN = "not_run"
# The name becomes part of a Python identifier and of a path there; "_" is read as "/" in some places.
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9.-]*")


def check_name(name: str) -> str:
    """``name``, if the official program can hold a model by it.

    Raises:
        UserError: it cannot.
    """
    if not _NAME.fullmatch(name):
        raise UserError(f"name {name!r} cannot be used: write a letter, then letters, digits, '-' and '.' only")
    return name


def result_file(folder: Path, name: str, category: Category) -> Path:
    """Where the official program looks for the results of one multi-turn category."""
    return folder / "result" / name / "multi_turn" / f"BFCL_v4_multi_turn_{category}_result.json"


def write_results(
    folder: Path, name: str, trajectories: Iterable[Trajectory], tasks: Mapping[str, Task]
) -> dict[Path, int]:
    """Writes a result file for every category played, and returns how many tasks each one holds.

    Raises:
        UserError: the name cannot be used or has results there already, a task is none of ``tasks``, or one was played
            more than once.
    """
    target = folder / "result" / check_name(name)
    if target.exists():
        raise UserError(f"{target} exists already: give another folder or another name")
    entries: dict[Category, dict[str, dict[str, Any]]] = defaultdict(dict)
    for trajectory in trajectories:
        if trajectory.task_id not in tasks:
            raise UserError(f"task {trajectory.task_id!r} is none of BFCL's: export episodes of data=bfcl only")
        if trajectory.task_id in entries[trajectory.category]:
            raise UserError(f"{trajectory.task_id} was played more than once: export an evaluation with samples=1")
        entry = result_entry(trajectory, tasks[trajectory.task_id])
        entries[trajectory.category][trajectory.task_id] = entry
    counts = {}
    for category, records in entries.items():
        path = result_file(folder, name, category)
        trajectory_file.write(path, records.values())
        counts[path] = len(records)
    return counts


def result_entry(trajectory: Trajectory, task: Task) -> dict[str, Any]:
    """One line of a result file."""
    return {"id": trajectory.task_id, "result": list(_turns(trajectory, task))}


def _turns(trajectory: Trajectory, task: Task) -> Iterator[list[Any]]:
    for index, turn in enumerate(trajectory.turns):
        if turn.end is TurnEnd.ANSWERED:
            offered = {tool.name for tool in task.tools_offered_at(index)}
            yield [_step(step, offered) for step in turn.steps]


def _step(step: Step, offered: set[str]) -> list[dict[str, str]] | str:
    if not isinstance(step.action, ToolCalls):
        return step.completion
    return [_call(call, offered) for call in step.action.calls]


def _call(call: ToolCall, offered: set[str]) -> dict[str, str]:
    if not _ran(call, offered):
        return {NOT_RUN: "{}"}
    return {call.name: json.dumps(call.arguments)}


def _ran(call: ToolCall, offered: set[str]) -> bool:
    """False for a tool or a parameter that there was not, and for arguments beyond the limits of one call."""
    if call.name not in offered or not set(call.arguments) <= set(PARAMETERS[call.name]):
        return False
    try:
        check_arguments(call)
    except LimitExceeded:
        return False
    return True
