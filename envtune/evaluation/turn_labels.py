"""The labels of turns (docs/diagnosis.md) over many episodes: by group of tasks, and before and after training."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from statistics import fmean

from rich.markup import escape
from rich.table import Table

from envtune.diagnosis import Diagnosis, diagnosis_shares, first_failure
from envtune.report_text import percent, table
from envtune.statistics.intervals import estimate, percent_with_interval
from envtune.statistics.paired import paired_difference
from envtune.trajectory import Trajectory

NEVER_REACHED = "never_reached"
"""The row of turns that an episode's end cut off."""
ROWS = (*map(str, Diagnosis), NEVER_REACHED)
FIRST_FAILURE = "first failure, % of tasks"

ByTask = Mapping[str, Mapping[str, float]]
"""Shares in [0, 1] by row and, within it, by task."""


def turn_shares(trajectories: Sequence[Trajectory]) -> ByTask:
    """Return the share of each task's turns in each row, the mean over its episodes."""
    rows: dict[str, dict[str, float]] = {row: {} for row in ROWS}
    for task, episodes in _by_task(trajectories).items():
        shares = [diagnosis_shares(episode) for episode in episodes]
        for label in Diagnosis:
            rows[label][task] = fmean(share[label] for share in shares)
        rows[NEVER_REACHED][task] = fmean(1 - len(episode.turns) / episode.turn_count for episode in episodes)
    return rows


def first_failure_shares(trajectories: Sequence[Trajectory]) -> ByTask:
    """Return the share of each task's episodes whose first failed turn has each label."""
    first = {task: list(map(first_failure, episodes)) for task, episodes in _by_task(trajectories).items()}
    return {
        label: {task: labels.count(label) / len(labels) for task, labels in first.items()}
        for label in Diagnosis
        if label.is_failure
    }


def shares_by_group(trajectories: Sequence[Trajectory]) -> dict[str, dict[str, float]]:
    """Return the mean share of turns in each row, of `overall` and every group: all tasks have one weight."""
    groups = {"overall": list(trajectories)}
    for trajectory in trajectories:
        groups.setdefault(trajectory.group, []).append(trajectory)
    return {
        group: {row: fmean(shares.values()) for row, shares in turn_shares(played).items()}
        for group, played in groups.items()
    }


def groups_table(shares: Mapping[str, Mapping[str, float]], title: str) -> Table:
    """Return a table of `shares_by_group`, in percent: a row per label, a column per group."""
    shown = table(title, ["label"], map(escape, shares))
    for row in ROWS:
        shown.add_row(row, *(percent(of_group[row]) for of_group in shares.values()))
        if row in (Diagnosis.CORRECT_ABSTENTION, Diagnosis.RESPONSE_MISMATCH):
            shown.add_section()
    return shown


def run_table(trajectories: Sequence[Trajectory]) -> Table:
    """Return a table of the labels of one run, with 95% intervals over tasks."""
    turns, first = turn_shares(trajectories), first_failure_shares(trajectories)
    shown = table("labels of turns, with 95% intervals", ["label"], ("turns, %", FIRST_FAILURE))
    for row in ROWS:
        cells = [estimate(list(shares[row].values())) if row in shares else None for shares in (turns, first)]
        shown.add_row(row, *("-" if cell is None else percent_with_interval(cell) for cell in cells))
    return shown


def comparison_table(before: Sequence[Trajectory], after: Sequence[Trajectory], tasks: Collection[str]) -> Table:
    """Return a table of the labels of two runs on the same tasks, with the paired difference and its 95% interval.

    Args:
        before: the episodes of one run.
        after: those of the other.
        tasks: the ids of tasks that both runs played; the others are left out.
    """
    sides = [[episode for episode in side if episode.task_id in tasks] for side in (before, after)]
    turns, first = map(turn_shares, sides), map(first_failure_shares, sides)
    columns = ("before", "after", "difference", "first\nbefore", "first\nafter")
    shown = table("labels of turns, % of turns; first: of the first failure, % of tasks", ["label"], columns)
    (turns_before, turns_after), (first_before, first_after) = turns, first
    for row in ROWS:
        old, new = ([of[row][task] for task in tasks] for of in (turns_before, turns_after))
        change = paired_difference(new, old)
        low, high = (percent(bound, digits=0, signed=True) for bound in (change.low, change.high))
        firsts = [percent(fmean(of[row].values()) if row in of else None) for of in (first_before, first_after)]
        moved = f"{percent(change.mean, signed=True)} ({low} to {high})"
        shown.add_row(row, percent(fmean(old)), percent(fmean(new)), moved, *firsts)
    return shown


def _by_task(trajectories: Sequence[Trajectory]) -> Mapping[str, list[Trajectory]]:
    episodes: dict[str, list[Trajectory]] = defaultdict(list)
    for trajectory in trajectories:
        episodes[trajectory.task_id].append(trajectory)
    return episodes
