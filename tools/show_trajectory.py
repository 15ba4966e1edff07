"""Print a recorded episode in the terminal.

    python tools/show_trajectory.py runs/… --list
    python tools/show_trajectory.py runs/…/trajectories/val/update_000010.jsonl --task multi_turn_base_3
    python tools/show_trajectory.py runs/… --worst

PATH is a trajectory file or the folder of a training or evaluation run, whose newest file is read. Without an option,
the first episode is printed.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import envtune.process_start

from rich.markdown import Markdown
from rich.markup import escape
from rich.table import Table

from envtune.diagnosis import first_failure
from envtune.errors import UserError
from envtune.evaluation.recorded_episodes import RecordedEpisode, newest_file, read_episodes
from envtune.program import run_program
from envtune.report_text import console, without_control
from envtune.trajectory_text import as_markdown


def main() -> None:
    """Print one recorded episode, or the list of them."""
    parser = argparse.ArgumentParser(description="Print a recorded episode in the terminal.")
    parser.add_argument("path", type=Path, help="a trajectory file, or a run's folder for its newest file")
    parser.add_argument("--task", metavar="ID", help="only episodes of this task")
    which = parser.add_mutually_exclusive_group()
    which.add_argument("--index", metavar="N", type=int, help="the episode with this number in the list")
    which.add_argument("--best", action="store_true", help="the episode with the highest reward (else progress)")
    which.add_argument("--worst", action="store_true", help="the episode with the lowest reward (else progress)")
    which.add_argument("--list", action="store_true", help="a table of the episodes")
    options = parser.parse_args()
    path = newest_file(options.path)
    episodes = of_task(read_episodes(path), options.task, path)
    if options.list:
        console().print(listing(episodes, str(path)))
    else:
        episode = choose(episodes, options.index, options.best, options.worst)
        console().print(Markdown(without_control(as_markdown(episode.trajectory, episode.headline))))


def of_task(episodes: Sequence[RecordedEpisode], task: str | None, path: Path) -> list[RecordedEpisode]:
    """Return the episodes of one task, or all of them where ``task`` is None.

    Raises:
        UserError: The task has no episode in the file ``path``.
    """
    chosen = [episode for episode in episodes if task in (None, episode.trajectory.task_id)]
    if not chosen:
        raise UserError(f"{path} has no episode of task {task}: --list prints all")
    return chosen


def choose(episodes: Sequence[RecordedEpisode], index: int | None, best: bool, worst: bool) -> RecordedEpisode:
    """Return the episode with this ``index``, the best or the worst by its rank, or the first.

    Raises:
        UserError: There is no episode with this index.
    """
    if best or worst:
        return (max if best else min)(episodes, key=lambda episode: episode.rank)
    if index is None:
        return episodes[0]
    for episode in episodes:
        if episode.index == index:
            return episode
    raise UserError(f"index {index} is not among the {len(episodes)} episodes: --list prints all")


def listing(episodes: Sequence[RecordedEpisode], title: str) -> Table:
    """Return a table with one row per episode."""
    table = Table(title=escape(title))
    for column in ("index", "task", "reward", "success", "progress", "steps", "end", "first failure"):
        table.add_column(column, justify="left" if column in ("task", "end", "first failure") else "right")
    for episode in episodes:
        trajectory = episode.trajectory
        table.add_row(
            str(episode.index),
            escape(without_control(trajectory.task_id)),
            "-" if episode.reward is None else f"{episode.reward:.3f}",
            "yes" if trajectory.success else "no",
            f"{trajectory.turns_passed}/{trajectory.turn_count}",
            str(len(trajectory.steps)),
            str(trajectory.end),
            first_failure(trajectory) or "-",
        )
    return table


if __name__ == "__main__":
    run_program(main)
