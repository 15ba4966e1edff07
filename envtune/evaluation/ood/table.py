"""Records -> tables: a column per part of a benchmark, a row per checkpoint, percent with 95% intervals."""

from __future__ import annotations

import csv
import io
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean

from envtune.evaluation.ood.record import OODRecord, Part
from envtune.report_text import markdown_table, percent
from envtune.statistics.intervals import METHODS, Estimate, estimate

# Title of a benchmark and the order of its parts, as the paper's table 2 has the benchmarks. Others come after these.
COLUMNS: Mapping[str, tuple[str, tuple[str, ...]]] = {
    "bfcl_v4_web_search": ("BFCL V4 web search", ("base", "no_snippet")),
    "bfcl_v4_memory": ("BFCL V4 memory", ("kv", "vector", "rec_sum")),
    "tau2": ("τ²-bench", ("retail", "airline", "telecom")),
    "acebench": ("ACEBench agent", ("multi_step", "multi_turn")),
}
# The column of a benchmark's parts together.
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
        title, _ = COLUMNS.get(self.benchmark, (self.benchmark, ()))
        return f"{title}: {self.part}"


def task_scores(record: OODRecord) -> dict[str, dict[str, float]]:
    """By part, and for ``ALL`` if there are several: scores by task. There a task counts once, with its parts' mean."""
    found = {name: dict(part.scores) for name, part in record.parts.items()}
    if len(found) > 1:
        every: dict[str, list[float]] = defaultdict(list)
        for scores in found.values():
            for task, value in scores.items():
                every[task].append(value)
        found[ALL] = {task: fmean(values) for task, values in every.items()}
    return found


def scores_of(records: Iterable[OODRecord]) -> dict[Column, dict[str, float]]:
    """The scores by task of every column of one checkpoint."""
    return {
        Column(record.benchmark, part): scores for record in records for part, scores in task_scores(record).items()
    }


def in_order(columns: Iterable[Column]) -> list[Column]:
    """The paper's benchmarks first, in its order, each with its parts and then all of them."""
    benchmarks = list(COLUMNS)

    def place(column: Column) -> tuple[int, str, int, str]:
        known = column.benchmark in COLUMNS
        parts = (*COLUMNS[column.benchmark][1],) if known else ()
        index = parts.index(column.part) if column.part in parts else len(parts) + (column.part == ALL)
        return (benchmarks.index(column.benchmark) if known else len(benchmarks)), column.benchmark, index, column.part

    return sorted(set(columns), key=place)


def score_table(checkpoints: Mapping[str, Sequence[OODRecord]]) -> str:
    """Markdown: a row per checkpoint, a dash where a column was not scored."""
    scores = {name: scores_of(records) for name, records in checkpoints.items()}
    columns = in_order(column for found in scores.values() for column in found)
    rows = []
    for name, found in scores.items():
        cells = (with_interval(estimate([*found[column].values()])) if column in found else "-" for column in columns)
        rows.append((name, *cells))
    return markdown_table(("checkpoint", *(column.title for column in columns)), rows)


def detail_table(records: Iterable[OODRecord]) -> str:
    """Markdown: a row per part of one checkpoint, with what it was scored by and what to read beside it."""
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
    """Every number of the tables in a line of its own: shares, not rounded."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(CSV_COLUMNS)
    for name, records in checkpoints.items():
        for record in records:
            for part, scores in task_scores(record).items():
                found = estimate([*scores.values()])
                about = (record.harness, record.agent.model, record.user and record.user.model)
                counts = (record.episodes_per_task, record.limit, record.broken)
                beside = _beside(record.parts[part]) if part in record.parts else None
                numbers = (len(scores), found.mean, found.low, found.high, found.method)
                writer.writerow([name, record.benchmark, part, *numbers, *about, *counts, beside])
    return text.getvalue()


def interval_note() -> str:
    """How the intervals in the tables were computed."""
    methods = "; ".join(f"{name}: {meaning}" for name, meaning in METHODS.items())
    return (
        f"Percent of tasks, in brackets the 95% interval ({methods}). It says how far other tasks of the same kind "
        "would vary, not how far another simulated user or another run of training would."
    )


def with_interval(found: Estimate, signed: bool = False) -> str:
    """Return mean and interval in percent, as `12.5 [8.1, 18.0]`."""
    mean, low, high = (percent(share, signed=signed) for share in (found.mean, found.low, found.high))
    return f"{mean} [{low}, {high}]"


def _beside(part: Part) -> str:
    return ", ".join(f"{name} {value:.4g}" for name, value in part.beside.items())
