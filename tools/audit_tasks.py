"""Find the multi-turn tasks of BFCL that cannot be passed as offered or have a defective ground truth.

    python tools/audit_tasks.py                        # all 800, about a minute: print the counts
    python tools/audit_tasks.py --write audit.json     # also write the list
    python tools/audit_tasks.py --scenarios 4,49,188 --show

docs/audit.md defines the reasons. The package contains the list (envtune/bfcl/audit/bfcl_audit.json); tools/evaluate.py
and tools/score.py report scores with and without its tasks.
"""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

import envtune.process_start

from rich.console import Console
from rich.markup import escape
from rich.progress import track
from rich.table import Table

from envtune.bfcl.audit.finding import Finding, Reason
from envtune.bfcl.audit.published import audit, by_scenario, written_list
from envtune.bfcl.benchmark import load_bfcl_tasks
from envtune.bfcl.category import CATEGORIES
from envtune.errors import UserError
from envtune.files.atomic_file import atomic_file
from envtune.program import run_program
from envtune.report_text import console as report_console
from envtune.report_text import table as empty_table
from envtune.task import Task


def main() -> None:
    """Audit the tasks, print the counts and write the list."""
    parser = argparse.ArgumentParser(description="Audit BFCL's multi-turn tasks and list the defective ones.")
    parser.add_argument("--scenarios", help="only these numbers, separated by commas (0 to 199), in all categories")
    parser.add_argument("--show", action="store_true", help="print every finding")
    parser.add_argument("--write", type=Path, metavar="FILE", help="write the list as JSON; replaced if it exists")
    options = parser.parse_args()
    console = report_console()
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
    if options.show:
        _show(console, findings)
    console.print(counts_table(findings, len(chosen)))


def counts_table(findings: Mapping[str, Sequence[Finding]], tasks: int) -> Table:
    """Return the listed tasks by reason and category; a task with several reasons counts in each of their rows."""
    title = f"{len(findings)} of {tasks} tasks are on the list"
    table = empty_table(title, ("reason", "severity"), (*CATEGORIES, "tasks"))
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
    """Return the tasks of the scenarios; raise UserError for a number that is not a scenario."""
    known = {str(task.world.number) for task in tasks}
    names = known if scenarios is None else [name.strip() for name in scenarios.split(",")]
    if unknown := [name for name in names if name not in known]:
        raise UserError(f"--scenarios {scenarios}: {unknown[0]!r} is not a scenario, give numbers from 0 to 199")
    return [task for task in tasks if str(task.world.number) in names]


def _show(console: Console, findings: Mapping[str, Sequence[Finding]]) -> None:
    for name, of_task in findings.items():
        for finding in of_task:
            head = f"{name}, turn {finding.turn}: {finding.reason} ({finding.reason.severity})"
            text = f"[bold]{head}[/]\n  {escape(finding.subject)}\n  {escape(finding.text)}"
            console.print(text, highlight=False, soft_wrap=True)


if __name__ == "__main__":
    run_program(main)
