"""Records of several checkpoints -> paired differences to a baseline, and what keeps the rows from being compared."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping, Sequence

from envtune.errors import UserError
from envtune.evaluation.ood.record import AgentEndpoint, OODRecord
from envtune.evaluation.ood.table import Column, in_order, scores_of, with_interval
from envtune.report_text import markdown_table
from envtune.statistics.intervals import Estimate
from envtune.statistics.paired import METHODS, paired_difference

CSV_COLUMNS = ("checkpoint", "baseline", "benchmark", "part", "tasks", "difference", "low", "high", "interval")

Checkpoints = Mapping[str, Sequence[OODRecord]]


def differences(checkpoints: Checkpoints, baseline: str) -> dict[str, dict[Column, tuple[int, Estimate]]]:
    """By checkpoint other than ``baseline`` and column: tasks that both have, and the difference on these.

    Raises:
        UserError: ``baseline`` is no checkpoint.
    """
    if baseline not in checkpoints:
        raise UserError(f"--baseline {baseline} is not among the checkpoints; choose one of: {', '.join(checkpoints)}")
    others = scores_of(checkpoints[baseline])
    found: dict[str, dict[Column, tuple[int, Estimate]]] = {}
    for name, records in checkpoints.items():
        if name == baseline:
            continue
        found[name] = {}
        for column, scores in scores_of(records).items():
            tasks = sorted(scores.keys() & others.get(column, {}).keys())
            if tasks:
                pair = [scores[task] for task in tasks], [others[column][task] for task in tasks]
                found[name][column] = len(tasks), paired_difference(*pair)
    return found


def difference_table(found: Mapping[str, Mapping[Column, tuple[int, Estimate]]]) -> str:
    """Markdown: percentage points more than the baseline on the same tasks, a dash where they share none."""
    columns = in_order(column for row in found.values() for column in row)
    rows = [
        (name, *(with_interval(row[column][1], signed=True) if column in row else "-" for column in columns))
        for name, row in found.items()
    ]
    return markdown_table(("checkpoint", *(column.title for column in columns)), rows)


def differences_csv(found: Mapping[str, Mapping[Column, tuple[int, Estimate]]], baseline: str) -> str:
    """Every difference in a line of its own: shares, not rounded."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(CSV_COLUMNS)
    for name, row in found.items():
        for column in in_order(row):
            tasks, value = row[column]
            numbers = (tasks, value.mean, value.low, value.high, value.method)
            writer.writerow([name, baseline, column.benchmark, column.part, *numbers])
    return text.getvalue()


def difference_note(baseline: str) -> str:
    methods = "; ".join(f"{name}: {meaning}" for name, meaning in METHODS.items())
    return (
        f"Percentage points more than {baseline} on the tasks that both were scored on, in brackets the 95% interval "
        f"({methods}). An interval without 0 says that these two checkpoints differ on tasks like these; of several "
        "comparisons, some do so by chance."
    )


def warnings(checkpoints: Checkpoints) -> list[str]:
    """One sentence for each thing that keeps scores of a benchmark from being compared, or that makes one a trial."""
    by_choice: dict[str, dict[str, OODRecord]] = {}
    for name, records in checkpoints.items():
        for record in records:
            by_choice.setdefault(record.choice, {})[name] = record
    return [line for choice, records in by_choice.items() for line in _warnings(choice, records)]


def _warnings(choice: str, records: Mapping[str, OODRecord]) -> Iterable[str]:
    compared = {
        "harness": {name: record.harness for name, record in records.items()},
        "data": {name: record.data for name, record in records.items()},
        "simulated user": {name: _who(record.user) for name, record in records.items()},
        "decoding": {name: _settings(record.agent) for name, record in records.items()},
        "episodes of each task": {name: str(record.episodes_per_task) for name, record in records.items()},
    }
    for what, values in compared.items():
        if len(set(values.values())) > 1:
            listed = ", ".join(f"{name}: {value}" for name, value in values.items())
            yield f"{choice}: scores cannot be compared as they stand, they differ in {what} ({listed})."
    tasks = {frozenset((name, key) for name, part in r.parts.items() for key in part.scores) for r in records.values()}
    if len(tasks) > 1:
        yield f"{choice}: scores cannot be compared as they stand, they are of different tasks."
    for name, record in records.items():
        if record.limit is not None:
            yield f"{choice}: {name} was scored with limit={record.limit}, on only so many tasks of each part."
        if record.broken:
            yield f"{choice}: {record.broken} of {name}'s episodes broke off, counted as failed."


def _who(user: AgentEndpoint | None) -> str:
    return f"{user.model} ({_settings(user)})" if user else "nobody"


def _settings(endpoint: AgentEndpoint) -> str:
    return ", ".join(f"{name}={value}" for name, value in sorted(endpoint.decoding.items())) or "the harness's own"
