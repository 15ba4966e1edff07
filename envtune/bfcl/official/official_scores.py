"""Scores of a model by category, read from the files of BFCL's own program."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean, median
from typing import Any

from rich.table import Table

from envtune import trajectory_file
from envtune.errors import UserError
from envtune.report_text import table
from envtune.statistics.intervals import Estimate, estimate, percent_with_interval

# The beginning of a result that the program writes when the endpoint failed.
BROKEN = "Error during inference"


@dataclass(frozen=True, slots=True)
class OfficialScore:
    """The score of one category."""

    passed: Mapping[str, bool]
    """The verdict on each task."""
    faults: Mapping[str, int]
    """The number of failed tasks by the program's name of the fault."""
    answer_lengths: Sequence[int]
    """Characters of each judged answer, for categories that search words in an answer; empty for others."""
    broken: int
    """The number of tasks that failed because the endpoint did."""

    @property
    def share(self) -> Estimate:
        """The share of passed tasks, in [0, 1]."""
        return estimate([float(passed) for passed in self.passed.values()])


def read_scores(folder: Path, name: str) -> dict[str, OfficialScore]:
    """Return the scores of all evaluated categories.

    Raises:
        UserError: there are no scores, or a score belongs to other results than those in the folder.
    """
    paths = sorted((folder / "score" / name).rglob("BFCL_v4_*_score.json"))
    if not paths:
        raise UserError(f"{folder} has no scores of {name!r}: evaluate first")
    categories = {path.stem.removeprefix("BFCL_v4_").removesuffix("_score"): path for path in paths}
    return {category: _score(folder / "result" / name, category, path) for category, path in categories.items()}


def official_table(scores: Mapping[str, OfficialScore], title: str) -> Table:
    """Return a table with a row per category: percent of tasks with 95% intervals, lengths and failures."""
    shown = table(title, ["category"], ("tasks", "right, % of tasks", "answer length", "endpoint failed"))
    for category, score in scores.items():
        length = f"{median(score.answer_lengths):.0f}" if score.answer_lengths else "-"
        shown.add_row(category, str(len(score.passed)), percent_with_interval(score.share), length, str(score.broken))
    if any(score.answer_lengths for score in scores.values()):
        shown.caption = "answer length: median in characters; long answers contain the expected words more often"
    return shown


def plain_scores(scores: Mapping[str, OfficialScore]) -> dict[str, Any]:
    """Return the scores as JSON values, with the interval and the verdict on every task."""
    return {category: _plain(score) for category, score in scores.items()}


def _plain(score: OfficialScore) -> dict[str, Any]:
    share, lengths = score.share, score.answer_lengths
    return {
        "tasks": len(score.passed),
        "right": sum(score.passed.values()),
        "accuracy": share.mean,
        "interval": [share.low, share.high],
        "faults": dict(score.faults),
        "endpoint_failed": score.broken,
        "answer_characters": {"mean": fmean(lengths), "median": median(lengths), "most": max(lengths)}
        if lengths
        else None,
        "passed": dict(score.passed),
    }


def _score(results: Path, category: str, path: Path) -> OfficialScore:
    header, *wrong = trajectory_file.read(path)
    (file,) = results.rglob(f"BFCL_v4_{category}_result.json")
    played = {record["id"]: record["result"] for record in trajectory_file.read(file)}
    failed = {record["id"] for record in wrong}
    if header["total_count"] != len(played) or len(failed) != header["total_count"] - header["correct_count"]:
        raise UserError(f"{path} is not the score of the results in {file}: evaluate again")
    judged = played.values() if category.startswith(("memory", "web_search")) else ()
    return OfficialScore(
        passed={name: name not in failed for name in played},
        faults=Counter(_fault(record) for record in wrong),
        answer_lengths=[len(_answer(result)) for result in judged],
        broken=sum(isinstance(result, str) and result.startswith(BROKEN) for result in played.values()),
    )


def _fault(record: Mapping[str, Any]) -> str:
    error = record.get("error")
    return record.get("error_type") or (error.get("error_type") if isinstance(error, dict) else None) or "unknown"


def _answer(result: Any) -> str:
    """Return the last message of a conversation that is not a call, which is the judged one; "" without such one."""
    steps = result[0] if isinstance(result, list) and result else []
    return next((step for step in reversed(steps) if isinstance(step, str)), "")
