"""Recorded calls of tasks, and the verdicts on them: JSON lines in, JSON lines out.

Every record is scored in worlds of its own. BFCL's executor shares the default lists of post_tweet between the agent's
world and the ground truth's, so its verdict can differ where a tweet without mentions is mentioned in later.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from envtune.call_text import parse_call
from envtune.environment.interface import Environment, World
from envtune.environment.judge import Judge
from envtune.errors import UserError
from envtune.files.atomic_file import atomic_file
from envtune.task import Task

Decoded = list[list[list[str]]]
"""Call strings by turn and step."""
Parameters = Mapping[str, Sequence[str]]
"""The parameters of each tool in order, which positional arguments of call strings are bound to."""


def score_file(
    source: Path, target: Path, environment: Environment, tasks: Iterable[Task], parameters: Parameters
) -> list[tuple[str, bool]]:
    """Score every line of ``source`` and write the verdicts to ``target``, completely or not at all.

    Returns:
        The task's id and the success of every record, in the order of the lines.

    Raises:
        UserError: A file cannot be read or written, or a line is not a record of a known task.
    """
    target = target.resolve()
    if not target.parent.is_dir():
        raise UserError(f"the folder {target.parent} does not exist: create it, or name another output file")
    if target.exists() and not target.is_file():
        raise UserError(f"{target} is not a regular file: name another output file")
    known = {task.id: task for task in tasks}
    successes: list[tuple[str, bool]] = []
    try:
        with atomic_file(target) as lines:
            for task, decoded in read_records(source, known):
                scored = score(environment, task, decoded, parameters)
                successes.append((task.id, scored["success"]))
                lines.write(json.dumps(scored) + "\n")
    except OSError as error:
        raise UserError(f"{source}: {error.strerror or error}") from None
    return successes


def read_records(source: Path, tasks: Mapping[str, Task]) -> Iterator[tuple[Task, Decoded]]:
    """Yield the task and the calls of every line of ``source``.

    Raises:
        UserError: A line is not a record of a known task; the sentence names its number, counted from 1.
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


def score(environment: Environment, task: Task, decoded: Decoded, parameters: Parameters) -> dict[str, Any]:
    """Return the output line of one record: `id`, `success` and the verdicts of all `turns` of the task.

    Args:
        environment: The environment of the task.
        task: The task that was played.
        decoded: The recorded calls. A turn without an entry counts as a turn without a call; if there are more or
            fewer entries than turns, `success` is false.
    """
    agent = environment.open(task)
    judge = Judge(environment, task, agent)
    turns: list[dict[str, bool]] = []
    for index in range(len(task.turns)):
        steps = decoded[index] if index < len(decoded) else []
        calls = [text for step in steps for text in step]
        judge.see(_result(agent, text, parameters) for text in calls)
        verdict = judge.verdict(index, called=bool(calls), answer="")
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


def _result(agent: World, text: str, parameters: Parameters) -> str:
    try:
        return agent.call(parse_call(text, parameters)).text
    except ValueError as error:
        return f"Error during execution: {error}"


def _fault(entry: Any, tasks: Mapping[str, Task]) -> str:
    """Return what is wrong with a line's object, or the empty string."""
    if not isinstance(entry, dict) or "id" not in entry or "decoded" not in entry:
        return "not a JSON object with 'id' and 'decoded'"
    if not isinstance(entry["id"], str) or entry["id"] not in tasks:
        return f"the id {json.dumps(entry['id'])[:80]} is not a task, such as {next(iter(tasks), '')}"
    if not _nested_lists_of_text(entry["decoded"], depth=3):
        return "'decoded' is not a list of turns, each a list of steps, each a list of call strings"
    return ""


def _nested_lists_of_text(value: Any, depth: int) -> bool:
    if depth == 0:
        return isinstance(value, str)
    return isinstance(value, list) and all(_nested_lists_of_text(part, depth - 1) for part in value)
