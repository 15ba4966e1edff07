"""Paired differences of checkpoints to a baseline, and warnings on rows that are not comparable."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from envtune.errors import UserError
from envtune.evaluation.ood.record import AgentEndpoint, OODRecord
from envtune.evaluation.ood.table import Column, checkpoint_table, in_order, scores_of, with_interval
from envtune.report_text import csv_text
from envtune.statistics.intervals import Estimate
from envtune.statistics.paired import METHODS, paired_difference

CSV_COLUMNS = ("checkpoint", "baseline", "benchmark", "part", "tasks", "difference", "low", "high", "interval")

Checkpoints = Mapping[str, Sequence[OODRecord]]
Differences = Mapping[str, Mapping[Column, tuple[int, Estimate]]]


def differences(checkpoints: Checkpoints, baseline: str) -> Differences:
    """Return, by checkpoint and column, the number of tasks in common with ``baseline`` and the difference on them.

    Raises:
        UserError: ``baseline`` is not among the checkpoints.
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


def difference_table(found: Differences) -> str:
    """Return a Markdown table of differences in percentage points, with a dash for no task in common."""
    return checkpoint_table(
        {
            name: {column: with_interval(value, signed=True) for column, (_, value) in row.items()}
            for name, row in found.items()
        }
    )


def differences_csv(found: Differences, baseline: str) -> str:
    """Return every difference as a line of CSV, in unrounded shares in [-1, 1]."""
    rows = []
    for name, row in found.items():
        for column in in_order(row):
            tasks, value = row[column]
            numbers = (tasks, value.mean, value.low, value.high, value.method)
            rows.append([name, baseline, column.benchmark, column.part, *numbers])
    return csv_text(CSV_COLUMNS, rows)


def difference_note(baseline: str) -> str:
    """Return the note on the differences in the tables."""
    methods = "; ".join(f"{name}: {meaning}" for name, meaning in METHODS.items())
    return (
        f"Percentage points more than {baseline} on the tasks that both were scored on, in brackets the 95% interval "
        f"({methods}). An interval without 0 shows a difference on tasks of the same kind; of several "
        "comparisons, some show one by chance."
    )


def warnings(checkpoints: Checkpoints) -> list[str]:
    """Return a sentence for each reason why scores of a benchmark are not comparable or not of all its tasks."""
    by_choice: dict[str, dict[str, OODRecord]] = {}
    for name, records in checkpoints.items():
        for record in records:
            by_choice.setdefault(record.choice, {})[name] = record
    return [line for choice, records in by_choice.items() for line in _warnings(choice, records)]


def _warnings(choice: str, records: Mapping[str, OODRecord]) -> Iterable[str]:
    compared = {
        "harness": {name: record.harness for name, record in records.items()},
        "data": {name: record.data for name, record in records.items()},
        "simulated user": {
            name: f"{record.user.model} ({_settings(record.user)})" if record.user else "none"
            for name, record in records.items()
        },
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


def _settings(endpoint: AgentEndpoint) -> str:
    return ", ".join(f"{name}={value}" for name, value in sorted(endpoint.decoding.items())) or "the harness's own"
