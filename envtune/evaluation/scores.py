"""Trajectories -> success and progress with their intervals, by category and overall."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean

from rich.table import Table

from envtune.report_text import percent, table
from envtune.statistics.intervals import Estimate, estimate
from envtune.task import Category
from envtune.trajectory import Trajectory


@dataclass(frozen=True, slots=True)
class Score:
    """What a group of tasks scored: success (all turns passed, BFCL's verdict) and progress (share of passed turns)."""

    tasks: int
    episodes: int
    success: Estimate
    progress: Estimate


def score(trajectories: Sequence[Trajectory]) -> Score:
    """The score of one or more episodes. Episodes of one task are its samples: each task weighs the same."""
    samples: dict[str, list[Trajectory]] = defaultdict(list)
    for trajectory in trajectories:
        samples[trajectory.task_id].append(trajectory)
    return Score(
        tasks=len(samples),
        episodes=len(trajectories),
        success=estimate([fmean(trajectory.success for trajectory in task) for task in samples.values()]),
        progress=estimate([fmean(trajectory.progress for trajectory in task) for task in samples.values()]),
    )


def scores_by_category(trajectories: Sequence[Trajectory]) -> dict[str, Score]:
    """The scores of `overall` and of every category that was played."""
    played = {str(category): [t for t in trajectories if t.category == category] for category in Category}
    return {"overall": score(trajectories)} | {name: score(group) for name, group in played.items() if group}


def audited_scores(trajectories: Sequence[Trajectory], left_out: Collection[str]) -> dict[str, Score]:
    """The same over the tasks that are not ``left_out``; nothing if none is left."""
    kept = [trajectory for trajectory in trajectories if trajectory.task_id not in left_out]
    return scores_by_category(kept) if kept else {}


def scores_table(scores: Mapping[str, Score], audited: Mapping[str, Score], title: str) -> Table:
    """One row per group, and below them those of the audited scores; percent, 95% intervals in parentheses."""
    shown = table(title, ["category"], ("tasks", "episodes", "success, % of tasks", "progress, % of turns"))
    for name, row in scores.items():
        shown.add_row(*_cells(name, row))
    shown.add_section()
    for name, row in audited.items():
        shown.add_row(*_cells(f"{name}, audited", row))
    return shown


def _cells(name: str, row: Score) -> tuple[str, ...]:
    return name, str(row.tasks), str(row.episodes), _percent(row.success), _percent(row.progress)


def _percent(value: Estimate) -> str:
    return f"{percent(value.mean)} ({percent(value.low)} to {percent(value.high)})"
