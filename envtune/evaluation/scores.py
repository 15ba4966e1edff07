"""Success and progress of trajectories with 95% intervals, by group of tasks and overall."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean

from rich.table import Table

from envtune.report_text import table
from envtune.statistics.intervals import Estimate, estimate, percent_with_interval
from envtune.trajectory import Trajectory


@dataclass(frozen=True, slots=True)
class Score:
    """Scores of a group of tasks: success (BFCL's verdict: all turns passed) and progress (share of passed turns)."""

    tasks: int
    episodes: int
    success: Estimate
    progress: Estimate


def score(trajectories: Sequence[Trajectory]) -> Score:
    """Return the score of one or more episodes. Episodes of one task are its samples: all tasks have one weight."""
    samples: dict[str, list[Trajectory]] = defaultdict(list)
    for trajectory in trajectories:
        samples[trajectory.task_id].append(trajectory)
    return Score(
        tasks=len(samples),
        episodes=len(trajectories),
        success=estimate([fmean(trajectory.success for trajectory in task) for task in samples.values()]),
        progress=estimate([fmean(trajectory.progress for trajectory in task) for task in samples.values()]),
    )


def scores_by_group(trajectories: Sequence[Trajectory]) -> dict[str, Score]:
    """Return the scores of `overall` and of every group, in the order in which they were played."""
    groups = dict.fromkeys(trajectory.group for trajectory in trajectories)
    played = {group: [trajectory for trajectory in trajectories if trajectory.group == group] for group in groups}
    return {"overall": score(trajectories)} | {group: score(of_group) for group, of_group in played.items()}


def audited_scores(trajectories: Sequence[Trajectory], left_out: Collection[str]) -> dict[str, Score]:
    """Return the scores by group without the tasks ``left_out``; empty if no task remains."""
    kept = [trajectory for trajectory in trajectories if trajectory.task_id not in left_out]
    return scores_by_group(kept) if kept else {}


def scores_table(scores: Mapping[str, Score], audited: Mapping[str, Score], title: str) -> Table:
    """Return a table of percentages with intervals: a row per group, then a row per group of the audited scores."""
    shown = table(title, ["category"], ("tasks", "episodes", "success, % of tasks", "progress, % of turns"))
    for suffix, part in (("", scores), (", audited", audited)):
        for name, row in part.items():
            shares = map(percent_with_interval, (row.success, row.progress))
            shown.add_row(f"{name}{suffix}", str(row.tasks), str(row.episodes), *shares)
        shown.add_section()
    return shown
