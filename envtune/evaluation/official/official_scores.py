"""What BFCL's own program wrote about a model -> scores by category. Reads its files and decides nothing."""

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
from envtune.statistics.intervals import estimate

# How the program begins the result of a task whose endpoint failed.
BROKEN = "Error during inference"


@dataclass(frozen=True, slots=True)
class OfficialScore:
    """One category. ``passed`` is the verdict by task; ``faults`` counts the program's own names of what was wrong.

    ``answer_lengths``: characters of each answer that was judged, for categories that look for words in an answer;
    empty for others. ``broken``: tasks that failed because the endpoint did.
    """

    passed: Mapping[str, bool]
    faults: Mapping[str, int]
    answer_lengths: Sequence[int]
    broken: int


def read_scores(folder: Path, name: str) -> dict[str, OfficialScore]:
    """The scores of all categories that were evaluated, by category.

    Raises:
        UserError: there are none, or a score is of other results than those in the folder.
    """
    files = {_category(path): path for path in sorted((folder / "score" / name).rglob("BFCL_v4_*_score.json"))}
    if not files:
        raise UserError(f"{folder} holds no scores of {name!r}: evaluate first")
    return {category: _score(folder / "result" / name, category, path) for category, path in files.items()}


def official_table(scores: Mapping[str, OfficialScore], title: str) -> Table:
    """One row per category: percent of tasks with 95% intervals, and what to read beside it."""
    table = Table(title=title)
    table.add_column("category", no_wrap=True)
    for column in ("tasks", "right, % of tasks", "answer length", "endpoint failed"):
        table.add_column(column, justify="right")
    for category, score in scores.items():
        share = estimate([float(passed) for passed in score.passed.values()])
        percent = f"{100 * share.mean:.1f} ({100 * share.low:.1f} to {100 * share.high:.1f})"
        length = f"{median(score.answer_lengths):.0f}" if score.answer_lengths else "-"
        table.add_row(category, str(len(score.passed)), percent, length, str(score.broken))
    if any(score.answer_lengths for score in scores.values()):
        table.caption = "answer length: median in characters; whoever says everything is often right"
    return table


def plain_scores(scores: Mapping[str, OfficialScore]) -> dict[str, Any]:
    """The same as JSON values, with the interval and the verdict of every task."""
    return {category: _plain(score) for category, score in scores.items()}


def _plain(score: OfficialScore) -> dict[str, Any]:
    share = estimate([float(passed) for passed in score.passed.values()])
    lengths = score.answer_lengths
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
    said = {record["id"]: record["result"] for record in trajectory_file.read(file)}
    failed = {record["id"] for record in wrong}
    if header["total_count"] != len(said) or len(failed) != header["total_count"] - header["correct_count"]:
        raise UserError(f"{path} is the score of other results than {file}: evaluate again")
    return OfficialScore(
        passed={name: name not in failed for name in said},
        faults=Counter(_fault(record) for record in wrong),
        answer_lengths=[len(_answer(result)) for result in said.values()] if _is_agentic(category) else [],
        broken=sum(isinstance(result, str) and result.startswith(BROKEN) for result in said.values()),
    )


def _category(path: Path) -> str:
    return path.stem.removeprefix("BFCL_v4_").removesuffix("_score")


def _is_agentic(category: str) -> bool:
    return category.startswith(("memory", "web_search"))


def _fault(record: Mapping[str, Any]) -> str:
    error = record.get("error")
    return record.get("error_type") or (error.get("error_type") if isinstance(error, dict) else None) or "unknown"


def _answer(result: Any) -> str:
    """The last message of a conversation that is no call: the one that is judged. Empty if there is none."""
    steps = result[0] if isinstance(result, list) and result else []
    return next((step for step in reversed(steps) if isinstance(step, str)), "")
