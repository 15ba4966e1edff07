"""Score recorded calls of BFCL's multi-turn tasks, or of an environment of your own, without a model.

    python tools/score.py INPUT.jsonl OUTPUT.jsonl
    python tools/score.py INPUT.jsonl OUTPUT.jsonl --module library

Input, one JSON object per line: {"id": "multi_turn_base_0", "decoded": [turn][step][call string]}; further keys are
ignored. Output, in the order of the input: {"id", "success", "turns": [{"state", "response", "called", "passed",
"passed_officially"}, …]}, with all turns of the task. "passed" is the method's rule: state and results match, or no
call where none is due. "passed_officially" is BFCL's rule: a call, with matching state and results, or anything where
no call is due. "success" is BFCL's verdict: all turns passed officially, and the record has as many turns as the task.
A turn without a record counts as a turn without a call. As in BFCL's executor, withheld tools can be called from the
start. A call string that cannot be parsed is a failed call. A check of a turn gets an empty answer.

The output is written after all lines are scored, or not at all. Prints the share of successes of all records (raw) and
of those whose task is not on the list of defective tasks (audited, docs/audit.md).
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import envtune.process_start

from envtune.command_line.search_path import extend_module_path
from envtune.environment.interface import Environment
from envtune.environment.python_module import ModuleTasks, environment_of
from envtune.environment.recorded_calls import Parameters, score_file
from envtune.environment.selected_tasks import SelectedTasks
from envtune.program import run_program
from envtune.task import Task


def main() -> None:
    """Score a file of recorded calls and print the shares of successes."""
    parser = argparse.ArgumentParser(description="Score recorded calls without a model.")
    parser.add_argument("input", type=Path, help="JSON lines with 'id' and 'decoded': [turn][step][call string]")
    parser.add_argument("output", type=Path, help="JSON lines with 'id', 'success' and 'turns'; replaced if it exists")
    parser.add_argument("--module", help="the module of your own environment and tasks; without it, BFCL's")
    given = parser.parse_args()
    environment, tasks, parameters, listed = _bfcl() if given.module is None else _own(given.module)
    successes = score_file(given.input, given.output, environment, tasks, parameters)
    raw, audited = ([won for name, won in successes if name not in omitted] for omitted in ((), listed))
    print(f"success: raw {_share(raw)}, audited {_share(audited)}")


def _bfcl() -> tuple[Environment, Sequence[Task], Parameters, frozenset[str]]:
    # Here, so that an environment of your own needs no bfcl-eval.
    from envtune.bfcl.audit.shipped_list import listed_tasks
    from envtune.bfcl.benchmark import load_bfcl_tasks
    from envtune.bfcl.environment import BFCL_ENVIRONMENT
    from envtune.bfcl.toolbox import PARAMETERS

    return BFCL_ENVIRONMENT, load_bfcl_tasks(), PARAMETERS, listed_tasks()


def _own(module: str) -> tuple[Environment, Sequence[Task], Parameters, frozenset[str]]:
    extend_module_path([])
    environment = environment_of(module)
    tasks = SelectedTasks(ModuleTasks(module), environment).every_task()
    tools = {tool.name: tool for task in tasks for tool in task.tools}
    parameters = {name: tuple(tool.parameters.get("properties", {})) for name, tool in tools.items()}
    return environment, tasks, parameters, frozenset()


def _share(successes: Sequence[bool]) -> str:
    if not successes:
        return "- of 0 records"
    return f"{sum(successes) / len(successes):.1%} of {len(successes)} records"


if __name__ == "__main__":
    run_program(main)
