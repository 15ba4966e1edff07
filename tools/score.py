"""Scores recorded calls of BFCL's multi-turn tasks, without a model.

    python tools/score.py INPUT.jsonl OUTPUT.jsonl

Input, one JSON object a line: {"id": "multi_turn_base_0", "decoded": [turn][step][call string]}; further keys are
ignored. Output, in the same order: {"id", "success", "turns": [{"state", "response", "called", "passed",
"passed_officially"}, …]}, with all turns of the task. "success" is BFCL's verdict; a record whose number of turns is
not the task's has failed, and a turn without a record counts as one without a call. "passed" is the method's: state
and results, or no call where none is due. "passed_officially" is BFCL's: state, results and a call, or nothing where
no call is due. "success" is that all turns have passed officially. As in BFCL's own executor, tools that the task
withholds at first may be called from the start. A call string that cannot be parsed is a call that failed.

Every record has worlds of its own. BFCL's executor shares the default lists of post_tweet between the agent's world
and the ground truth's, so its verdict can differ where a tweet without mentions is mentioned in later.

The output appears when all lines are scored, or not at all. Then one line on stdout gives the share of successes, of
all records (raw) and of those whose task is not on the list of defective tasks (audited, see docs/audit.md).
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import envtune.process_start

from envtune.call_text import parse_call
from envtune.data.bfcl import load_bfcl_tasks
from envtune.environment.judge import Judge
from envtune.environment.toolbox import PARAMETERS, Toolbox
from envtune.errors import UserError
from envtune.evaluation.audit.published import listed_tasks
from envtune.files.atomic_file import atomic_file
from envtune.program import run_program
from envtune.task import Task

Decoded = list[list[list[str]]]


def main() -> int:
    """0 if the output was written; 1, and a sentence on stderr, if not."""
    parser = argparse.ArgumentParser(description="Scores recorded calls of BFCL's multi-turn tasks, without a model.")
    parser.add_argument("input", type=Path, help="JSON lines with 'id' and 'decoded': [turn][step][call string]")
    parser.add_argument("output", type=Path, help="JSON lines with 'id', 'success' and 'turns'; replaced if it exists")
    paths = parser.parse_args()
    try:
        print(summary(score_file(paths.input, paths.output)))
    except UserError as error:
        print(f"score: {error}", file=sys.stderr)
        return 1
    return 0


def score_file(source: Path, target: Path) -> list[tuple[str, bool]]:
    """Scores every line of ``source`` into ``target``, which is written whole or left as it was.

    Returns task and success of every record.

    Raises:
        UserError: a file cannot be read or written, or a line is no record of a known task.
    """
    target = target.resolve()
    if not target.parent.is_dir():
        raise UserError(f"the folder {target.parent} does not exist: create it, or name another output file")
    if target.exists() and not target.is_file():
        raise UserError(f"{target} is not a regular file: name another output file")
    tasks = {task.id: task for task in load_bfcl_tasks()}
    successes: list[tuple[str, bool]] = []
    try:
        with atomic_file(target) as lines:
            for task, decoded in read_records(source, tasks):
                scored = score(task, decoded)
                successes.append((task.id, scored["success"]))
                lines.write(json.dumps(scored) + "\n")
    except OSError as error:
        raise UserError(f"{source}: {error.strerror or error}") from None
    return successes


def summary(successes: Sequence[tuple[str, bool]]) -> str:
    """The share of successes among the records, raw and audited."""
    listed = listed_tasks()
    audited = [success for name, success in successes if name not in listed]
    return f"success: raw {_share([success for _, success in successes])}, audited {_share(audited)}"


def _share(successes: Sequence[bool]) -> str:
    if not successes:
        return "- of 0 records"
    return f"{sum(successes) / len(successes):.1%} of {len(successes)} records"


def read_records(source: Path, tasks: Mapping[str, Task]) -> Iterator[tuple[Task, Decoded]]:
    """The task and the calls of every line.

    Raises:
        UserError: with the number of a line that is no record of a known task.
    """
    with source.open("rb") as lines:
        for number, line in enumerate(lines, start=1):
            try:
                entry = json.loads(line.decode("utf-8"))
            except (ValueError, RecursionError) as error:
                raise UserError(f"{source}, line {number}: not valid JSON ({error})") from None
            fault = _fault(entry, tasks)
            if fault:
                raise UserError(f"{source}, line {number}: {fault}")
            yield tasks[entry["id"]], entry["decoded"]


def score(task: Task, decoded: Decoded) -> dict[str, Any]:
    """The output line for one record."""
    agent = Toolbox(task)
    judge = Judge(task, agent)
    turns: list[dict[str, bool]] = []
    for index in range(len(task.turns)):
        steps = decoded[index] if index < len(decoded) else []
        calls = [text for step in steps for text in step]
        judge.see(_result(agent, text) for text in calls)
        verdict = judge.verdict(index, called=bool(calls), answered=True)
        # For BFCL a turn of several steps is one with a call, even if every step is empty.
        official = replace(verdict, called=verdict.called or len(steps) > 1)
        turns.append(
            {
                "state": verdict.state,
                "response": verdict.response,
                "called": verdict.called,
                "passed": verdict.passed,
                "passed_officially": official.passed_officially,
            }
        )
    success = len(decoded) == len(task.turns) and all(turn["passed_officially"] for turn in turns)
    return {"id": task.id, "success": success, "turns": turns}


def _result(agent: Toolbox, text: str) -> str:
    try:
        return agent.call(parse_call(text, PARAMETERS)).text
    except ValueError as error:
        return f"Error during execution: {error}"


def _fault(entry: Any, tasks: Mapping[str, Task]) -> str:
    """What is wrong with a line's object, or nothing."""
    if not isinstance(entry, dict) or "id" not in entry or "decoded" not in entry:
        return "not a JSON object with 'id' and 'decoded'"
    if not isinstance(entry["id"], str) or entry["id"] not in tasks:
        return f"the id {json.dumps(entry['id'])[:80]} is no multi-turn task, such as multi_turn_base_0"
    if not _nested_lists_of_text(entry["decoded"], depth=3):
        return "'decoded' is not a list of turns, each a list of steps, each a list of call strings"
    return ""


def _nested_lists_of_text(value: Any, depth: int) -> bool:
    if depth == 0:
        return isinstance(value, str)
    return isinstance(value, list) and all(_nested_lists_of_text(part, depth - 1) for part in value)


if __name__ == "__main__":
    run_program(main)
