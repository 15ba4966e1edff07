"""Tables of records, paired differences to a baseline, and warnings on rows that are not comparable.

A table has a row per checkpoint and a column per part of a benchmark, in percent with 95% intervals.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean

from envtune.errors import UserError
from envtune.evaluation.ood.record import AgentEndpoint, OODRecord, Part
from envtune.report_text import csv_text, markdown_table, percent
from envtune.statistics.intervals import METHODS, Estimate, estimate
from envtune.statistics.paired import METHODS as PAIRED_METHODS
from envtune.statistics.paired import paired_difference

# Titles and parts of the benchmarks in the order of the paper's table 2; others follow.
COLUMNS: Mapping[str, tuple[str, tuple[str, ...]]] = {
    "bfcl_v4_web_search": ("BFCL V4 web search", ("base", "no_snippet")),
    "bfcl_v4_memory": ("BFCL V4 memory", ("kv", "vector", "rec_sum")),
    "tau2": ("τ²-bench", ("retail", "airline", "telecom")),
    "acebench": ("ACEBench agent", ("multi_step", "multi_turn")),
}
# The column of all parts of a benchmark.
ALL = "all"
CSV_COLUMNS = (
    *("checkpoint", "benchmark", "part", "tasks", "mean", "low", "high", "interval"),
    *("harness", "agent_model", "user_model", "episodes_per_task", "limit", "broken", "beside"),
)
DIFFERENCE_COLUMNS = ("checkpoint", "baseline", "benchmark", "part", "tasks", "difference", "low", "high", "interval")


@dataclass(frozen=True, slots=True)
class Column:
    """One part of a benchmark, or ``ALL`` of them."""

    benchmark: str
    part: str

    @property
    def title(self) -> str:
        """The heading of the column."""
        title, _ = COLUMNS.get(self.benchmark, (self.benchmark, ()))
        return f"{title}: {self.part}"


Checkpoints = Mapping[str, Sequence[OODRecord]]
Differences = Mapping[str, Mapping[Column, tuple[int, Estimate]]]


def task_scores(record: OODRecord) -> dict[str, dict[str, float]]:
    """Return the scores by task of each part and, of several parts, of ``ALL``: by task, the mean over its parts."""
    scores = {name: dict(part.scores) for name, part in record.parts.items()}
    if len(scores) > 1:
        every: dict[str, list[float]] = defaultdict(list)
        for task, value in (item for part in scores.values() for item in part.items()):
            every[task].append(value)
        scores[ALL] = {task: fmean(values) for task, values in every.items()}
    return scores


def scores_of(records: Iterable[OODRecord]) -> dict[Column, dict[str, float]]:
    """Return the scores by task of every column of one checkpoint."""
    return {Column(r.benchmark, part): scores for r in records for part, scores in task_scores(r).items()}


def in_order(columns: Iterable[Column]) -> list[Column]:
    """Return the columns in the paper's order of benchmarks and parts, others after them, ``ALL`` after its parts."""

    def rank(column: Column) -> tuple[bool, int, str, bool, int, str]:
        benchmarks, (_, parts) = list(COLUMNS), COLUMNS.get(column.benchmark, ("", ()))
        known, listed = column.benchmark in COLUMNS, column.part in parts
        benchmark = benchmarks.index(column.benchmark) if known else 0
        part = parts.index(column.part) if listed else int(column.part == ALL)
        return not known, benchmark, column.benchmark, not listed, part, column.part

    return sorted(set(columns), key=rank)


def score_table(checkpoints: Checkpoints) -> str:
    """Return a Markdown table with a row per checkpoint and a dash for a part without a score."""
    cells: dict[str, dict[Column, str]] = {}
    for name, records in checkpoints.items():
        scores = scores_of(records).items()
        cells[name] = {column: with_interval(estimate([*tasks.values()])) for column, tasks in scores}
    return checkpoint_table(cells)


def checkpoint_table(cells: Mapping[str, Mapping[Column, str]]) -> str:
    """Return a Markdown table of the cells by checkpoint and column, with a dash for a missing cell."""
    columns = in_order(column for row in cells.values() for column in row)
    rows = ([name, *(row.get(column, "-") for column in columns)] for name, row in cells.items())
    return markdown_table(("checkpoint", *(column.title for column in columns)), rows)


def detail_table(records: Iterable[OODRecord]) -> str:
    """Return a Markdown table with a row per part of one checkpoint: score, further numbers, harness and user."""
    rows = [
        (
            Column(record.benchmark, name).title,
            str(len(part.scores)),
            str(record.episodes_per_task),
            with_interval(estimate([*part.scores.values()])),
            _beside(part) or "-",
            record.harness,
            record.user.model if record.user else "-",
        )
        for record in records
        for name, part in record.parts.items()
    ]
    header = ("part", "tasks", "episodes of each", "success, %", "beside", "harness", "simulated user")
    return markdown_table(header, rows)


def as_csv(checkpoints: Checkpoints) -> str:
    """Return every score as a line of CSV, in unrounded shares in [0, 1]."""
    rows = []
    for name, records in checkpoints.items():
        for record in records:
            for part, scores in task_scores(record).items():
                mean = estimate([*scores.values()])
                about = (record.harness, record.agent.model, record.user and record.user.model)
                counts = (record.episodes_per_task, record.limit, record.broken)
                beside = _beside(record.parts[part]) if part in record.parts else None
                numbers = (len(scores), mean.mean, mean.low, mean.high, mean.method)
                rows.append([name, record.benchmark, part, *numbers, *about, *counts, beside])
    return csv_text(CSV_COLUMNS, rows)


def interval_note() -> str:
    """Return the note on the intervals in the tables."""
    methods = "; ".join(f"{name}: {meaning}" for name, meaning in METHODS.items())
    return (
        f"Percent of tasks, in brackets the 95% interval ({methods}). It covers the variation over tasks of "
        "the same kind, and not over simulated users or runs of training."
    )


def with_interval(value: Estimate, signed: bool = False) -> str:
    """Return mean and interval in percent, as `12.5 [8.1, 18.0]`."""
    mean, low, high = (percent(share, signed=signed) for share in (value.mean, value.low, value.high))
    return f"{mean} [{low}, {high}]"


def _beside(part: Part) -> str:
    return ", ".join(f"{name} {value:.4g}" for name, value in part.beside.items())


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
    cells = {
        name: {c: with_interval(value, signed=True) for c, (_, value) in row.items()} for name, row in found.items()
    }
    return checkpoint_table(cells)


def differences_csv(found: Differences, baseline: str) -> str:
    """Return every difference as a line of CSV, in unrounded shares in [-1, 1]."""
    rows = []
    for name, row in found.items():
        for column in in_order(row):
            tasks, value = row[column]
            numbers = (tasks, value.mean, value.low, value.high, value.method)
            rows.append([name, baseline, column.benchmark, column.part, *numbers])
    return csv_text(DIFFERENCE_COLUMNS, rows)


def difference_note(baseline: str) -> str:
    """Return the note on the differences in the tables."""
    methods = "; ".join(f"{name}: {meaning}" for name, meaning in PAIRED_METHODS.items())
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
