"""Tables of records: a row per checkpoint, a column per part of a benchmark, percent with 95% intervals."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean

from envtune.evaluation.ood.record import OODRecord, Part
from envtune.report_text import csv_text, markdown_table, percent
from envtune.statistics.intervals import METHODS, Estimate, estimate

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


def score_table(checkpoints: Mapping[str, Sequence[OODRecord]]) -> str:
    """Return a Markdown table with a row per checkpoint and a dash for a part without a score."""
    scores = {name: scores_of(records) for name, records in checkpoints.items()}
    return checkpoint_table(
        {
            name: {column: with_interval(estimate([*tasks.values()])) for column, tasks in columns.items()}
            for name, columns in scores.items()
        }
    )


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


def as_csv(checkpoints: Mapping[str, Sequence[OODRecord]]) -> str:
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
