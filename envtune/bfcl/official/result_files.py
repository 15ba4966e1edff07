"""Trajectories as result files of BFCL's own program (``bfcl-eval``), which can then score them.

``<folder>/result/<name>/multi_turn/BFCL_v4_multi_turn_<category>_result.json`` has a JSON line per task:
``{"id": …, "result": [turn][step]}``. A step with calls is a list of ``{tool: arguments as JSON}``; any other step is
the completion's text, which the program skips.

The program builds source code from a call and evaluates it, and has neither envtune's limits nor withheld tools. A call
that the environment refused before it ran is therefore written as a call of ``not_run``, which is an error there and
changes nothing.

The turn in which a limit stopped the episode is left out: the number of turns then differs from the task's, and the
program counts the task as force-terminated, in accordance with ``success``.
"""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from envtune import trajectory_file
from envtune.bfcl.toolbox import PARAMETERS
from envtune.environment.limits import LimitExceeded, check_arguments
from envtune.errors import UserError
from envtune.task import Task, ToolCall
from envtune.trajectory import ToolCalls, Trajectory

NOT_RUN = "not_run"
# The program makes the name part of a Python identifier and of a path, and reads "_" as "/" in some places.
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9.-]*")


def check_name(name: str) -> str:
    """Return ``name``.

    Raises:
        UserError: the official program cannot use it as the name of a model.
    """
    if not _NAME.fullmatch(name):
        raise UserError(f"name {name!r} cannot be used: write a letter, then letters, digits, '-' and '.' only")
    return name


def result_file(folder: Path, name: str, category: str) -> Path:
    """Return the path at which the official program reads the results of a multi-turn category."""
    return folder / "result" / name / "multi_turn" / f"BFCL_v4_multi_turn_{category}_result.json"


def write_results(
    folder: Path, name: str, trajectories: Iterable[Trajectory], tasks: Mapping[str, Task]
) -> dict[Path, int]:
    """Write a result file for every played category and return the number of tasks in each file.

    Raises:
        UserError: the name is not allowed or has results already, a task is not among ``tasks``, or a task has several
            trajectories.
    """
    target = folder / "result" / check_name(name)
    if target.exists():
        raise UserError(f"{target} exists already: give another folder or another name")
    entries: dict[str, dict[str, dict[str, Any]]] = defaultdict(dict)
    for trajectory in trajectories:
        if trajectory.task_id not in tasks:
            raise UserError(f"task {trajectory.task_id!r} is not one of BFCL's: export episodes of data=bfcl only")
        if trajectory.task_id in entries[trajectory.group]:
            raise UserError(f"{trajectory.task_id} was played more than once: export an evaluation with samples=1")
        entry = result_entry(trajectory, tasks[trajectory.task_id])
        entries[trajectory.group][trajectory.task_id] = entry
    counts = {}
    for category, records in entries.items():
        path = result_file(folder, name, category)
        trajectory_file.write(path, records.values())
        counts[path] = len(records)
    return counts


def result_entry(trajectory: Trajectory, task: Task) -> dict[str, Any]:
    """Return the line of a trajectory."""
    return {"id": trajectory.task_id, "result": list(_turns(trajectory, task))}


def _turns(trajectory: Trajectory, task: Task) -> Iterator[list[Any]]:
    for index, turn in enumerate(trajectory.turns[:-1] if trajectory.truncated else trajectory.turns):
        offered = {tool.name for tool in task.tools_offered_at(index)}
        yield [
            [
                {call.name: json.dumps(call.arguments)} if _ran(call, offered) else {NOT_RUN: "{}"}
                for call in step.action.calls
            ]
            if isinstance(step.action, ToolCalls)
            else step.completion
            for step in turn.steps
        ]


def _ran(call: ToolCall, offered: set[str]) -> bool:
    """Return False for an unknown tool or parameter, and for arguments beyond the limits of one call."""
    if call.name not in offered or not set(call.arguments) <= set(PARAMETERS[call.name]):
        return False
    try:
        check_arguments(call)
    except LimitExceeded:
        return False
    return True
