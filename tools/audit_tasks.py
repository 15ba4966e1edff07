"""Audits BFCL's multi-turn tasks: which cannot be passed as offered, or have a defective ground truth, and why.

    python tools/audit_tasks.py                        # all 800, about a minute: prints the counts
    python tools/audit_tasks.py --write audit.json     # and writes the list
    python tools/audit_tasks.py --scenarios 4,49,188 --show

docs/audit.md says what each reason means. The list that is shipped is envtune/data/bfcl_audit.json; scores are
reported with and without its tasks (tools/evaluate.py, tools/score.py).
"""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

import envtune.process_start

from rich.console import Console
from rich.markup import escape
from rich.progress import track
from rich.table import Table

from envtune.data.bfcl import CATEGORIES, load_bfcl_tasks
from envtune.errors import UserError
from envtune.evaluation.audit.finding import Finding, Reason
from envtune.evaluation.audit.published import audit, by_scenario, written_list
from envtune.files.atomic_file import atomic_file
from envtune.program import run_program
from envtune.task import Task

# Of the table and the findings, where they go to a file or a pipe.
WIDTH = 160


def main() -> int:
    """0 if the audit ran; 1, and a sentence on stderr, if not."""
    parser = argparse.ArgumentParser(description="Audits BFCL's multi-turn tasks and lists the defective ones.")
    parser.add_argument("--scenarios", help="only these numbers, separated by commas (0 to 199), in all categories")
    parser.add_argument("--show", action="store_true", help="print every finding")
    parser.add_argument("--write", type=Path, metavar="FILE", help="write the list as JSON; replaced if it exists")
    options = parser.parse_args()
    console = Console(width=None if sys.stdout.isatty() else WIDTH)
    try:
        if options.write and not options.write.resolve().parent.is_dir():
            raise UserError(f"the folder of {options.write} does not exist: create it, or name another file")
        every = load_bfcl_tasks()
        base = by_scenario(every)
        chosen = _chosen(every, options.scenarios)
        findings: dict[str, list[Finding]] = {}
        for task in track(chosen, "auditing", console=console, transient=True, disable=not console.is_terminal):
            findings |= audit([task], base)
        if options.write:
            with atomic_file(options.write) as file:
                file.write(written_list(findings))
    except UserError as error:
        print(f"audit_tasks: {error}", file=sys.stderr)
        return 1
    if options.show:
        _show(console, findings)
    console.print(counts_table(findings, len(chosen)))
    return 0


def counts_table(findings: Mapping[str, Sequence[Finding]], tasks: int) -> Table:
    """Listed tasks by reason and category; a task with several reasons counts in each of their rows."""
    table = Table(title=f"{len(findings)} of {tasks} tasks are on the list")
    table.add_column("reason")
    table.add_column("severity")
    for name in (*CATEGORIES, "tasks"):
        table.add_column(name, justify="right")
    for reason in Reason:
        listed = [name for name, of_task in findings.items() if any(finding.reason is reason for finding in of_task)]
        table.add_row(str(reason), str(reason.severity), *_counts(listed))
    table.add_section()
    table.add_row("any", "", *_counts(list(findings)))
    return table


def _counts(names: Sequence[str]) -> list[str]:
    counts = Counter(name.removeprefix("multi_turn_").rpartition("_")[0] for name in names)
    return [*(str(counts[category]) for category in CATEGORIES), str(len(names))]


def _chosen(tasks: Sequence[Task], scenarios: str | None) -> list[Task]:
    """Raises UserError for a number that is no scenario."""
    if scenarios is None:
        return list(tasks)
    known = {str(task.scenario) for task in tasks}
    names = [name.strip() for name in scenarios.split(",")]
    unknown = [name for name in names if name not in known]
    if unknown:
        raise UserError(f"--scenarios {scenarios}: {unknown[0]!r} is no scenario, name numbers from 0 to 199")
    return [task for task in tasks if str(task.scenario) in names]


def _show(console: Console, findings: Mapping[str, Sequence[Finding]]) -> None:
    for name, of_task in findings.items():
        for finding in of_task:
            head = f"{name}, turn {finding.turn}: {finding.reason} ({finding.reason.severity})"
            console.print(
                f"[bold]{head}[/]\n  {escape(finding.subject)}\n  {escape(finding.text)}",
                highlight=False,
                soft_wrap=True,
            )


if __name__ == "__main__":
    run_program(main)
