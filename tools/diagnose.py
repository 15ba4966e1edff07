"""Show what an agent gets wrong: the labels of the turns of one run, or of two runs before and after training.

    python tools/diagnose.py runs/…
    python tools/diagnose.py runs/<before> runs/<after>
    python tools/diagnose.py runs/…/trajectories/val/update_000000.jsonl runs/…/trajectories/val/update_000200.jsonl

A path is a trajectory file, or the folder of a training or evaluation run, whose newest file is read. docs/diagnosis.md
defines the labels. Shares are means over tasks; with two paths, over the tasks that both have played, and the interval
of the difference (95%) is over tasks too. `first` counts only the first failed turn of an episode, which no earlier
failure has caused.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import envtune.process_start

from envtune.errors import UserError
from envtune.evaluation.recorded_episodes import newest_file, read_episodes
from envtune.evaluation.turn_labels import comparison_table, run_table
from envtune.program import run_program
from envtune.report_text import console
from envtune.trajectory import Trajectory


def main() -> None:
    """Print the labels of one run, or of two runs side by side."""
    parser = argparse.ArgumentParser(description="Show what an agent gets wrong, turn by turn.")
    parser.add_argument("before", type=Path, help="a trajectory file, or a run's folder for its newest file")
    parser.add_argument("after", type=Path, nargs="?", help="another, to compare with")
    options = parser.parse_args()
    files = [newest_file(path) for path in (options.before, options.after) if path is not None]
    played = [[record.trajectory for record in read_episodes(file)] for file in files]
    if options.after is None:
        console().print(run_table(played[0]))
        print(f"{len(played[0])} episodes of {files[0]}")
        return
    before, after = played
    tasks = common_tasks(before, after)
    console().print(comparison_table(before, after, tasks))
    for name, file, episodes in zip(("before", "after"), files, played, strict=True):
        print(f"{name}: {file} ({len(tasks)} of its {len({one.task_id for one in episodes})} tasks are in both)")


def common_tasks(before: list[Trajectory], after: list[Trajectory]) -> list[str]:
    """Return the ids of the tasks that both have played, in the order of the first.

    Raises:
        UserError: There are none.
    """
    others = {episode.task_id for episode in after}
    common = dict.fromkeys(episode.task_id for episode in before if episode.task_id in others)
    if not common:
        raise UserError("the two runs have no task in common: evaluate both with the same data and split")
    return list(common)


if __name__ == "__main__":
    run_program(main)
