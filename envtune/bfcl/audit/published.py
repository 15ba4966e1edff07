"""The list of defective tasks: making it. ``shipped_list.py`` reads the one that comes with the package."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from importlib.metadata import version
from typing import Any

from envtune.bfcl.audit.argument_findings import argument_findings
from envtune.bfcl.audit.finding import Finding, Reason
from envtune.bfcl.audit.retold_findings import retold_findings
from envtune.bfcl.audit.turn_findings import turn_findings
from envtune.bfcl.category import Category
from envtune.task import Task


def audit(tasks: Sequence[Task], base: Mapping[int, Task]) -> dict[str, list[Finding]]:
    """Return the findings on every task that has any, by its id, in the order of ``tasks``.

    Args:
        tasks: the tasks to audit.
        base: the base task of each scenario.
    """
    found = {task.id: _findings(task, base[task.world.number]) for task in tasks}
    return {name: findings for name, findings in found.items() if findings}


def _findings(task: Task, base: Task) -> list[Finding]:
    findings = {*turn_findings(task), *retold_findings(task, base), *argument_findings(task)}
    return sorted(findings, key=lambda f: (f.turn, list(Reason).index(f.reason), f.subject, f.text))


def by_scenario(tasks: Iterable[Task]) -> dict[int, Task]:
    """Return the base tasks by scenario."""
    return {task.world.number: task for task in tasks if task.group == Category.BASE}


def to_json(findings: Mapping[str, Sequence[Finding]]) -> dict[str, Any]:
    """Return the file's content: the benchmark's version and the findings of every task with their severity."""
    return {
        "bfcl_eval": version("bfcl-eval"),
        "tasks": {
            name: [{"severity": str(finding.reason.severity), **asdict(finding)} for finding in of_task]
            for name, of_task in findings.items()
        },
    }


def written_list(findings: Mapping[str, Sequence[Finding]]) -> str:
    """Return the file's text."""
    return json.dumps(to_json(findings), indent=1, ensure_ascii=False) + "\n"
