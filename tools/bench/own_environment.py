"""Time ground-truth episodes of the examples' environments beside those of BFCL's.

    python -m tools.bench.own_environment                    # 10,000 episodes of each
    python -m tools.bench.own_environment --episodes 1000

A scripted agent writes the ground truth of each turn as a response; the episode parses it, runs the calls, looks for
hints, writes the observations and judges the turns. A task is played by 16 episodes in a row, as in training;
the first of them also plays the twin.

Prints JSON: for each environment the number of tasks, the seconds of processor time of all episodes, and milliseconds
an episode.
"""

from __future__ import annotations

import itertools
import sys
import time
from collections.abc import Sequence

import envtune.process_start

from envtune.bfcl.benchmark import load_bfcl_tasks
from envtune.bfcl.environment import BFCL_ENVIRONMENT
from envtune.chat.protocol import parse
from envtune.environment.interface import Environment
from envtune.environment.python_module import ModuleTasks, environment_of
from envtune.environment.selected_tasks import SelectedTasks
from envtune.program import run_program
from envtune.task import Split, Task
from tools.bench.environment import NOT_PLAYABLE, completions, play
from tools.bench.measuring import ROOT, command_line, print_figures

EXAMPLES = ("library", "clinic")
GROUP = 16


def main() -> None:
    """Print the figures."""
    episodes = command_line(__doc__, episodes=(10_000, "per environment")).parse_args().episodes
    figures = {name: timed_episodes(*example(name), episodes) for name in EXAMPLES}
    bfcl = [task for task in load_bfcl_tasks() if task.id not in NOT_PLAYABLE]
    figures["bfcl"] = timed_episodes(BFCL_ENVIRONMENT, bfcl, episodes)
    print_figures({"episodes": episodes, **figures})


def example(name: str) -> tuple[Environment, Sequence[Task]]:
    """Return the environment and the training tasks of a folder of ``examples``."""
    sys.path.append(str(ROOT / "examples" / name))
    environment = environment_of(name)
    return environment, SelectedTasks(ModuleTasks(name), environment).tasks(Split.TRAIN)


def timed_episodes(environment: Environment, tasks: Sequence[Task], episodes: int) -> dict[str, float]:
    """Play the tasks in turn, in groups, and return the figures of the environment."""
    responses = {task.id: completions(task) for task in tasks}
    groups = itertools.chain.from_iterable(itertools.repeat(task, GROUP) for task in itertools.cycle(tasks))
    started = time.process_time()
    for task in itertools.islice(groups, episodes):
        play(environment, task, responses[task.id], parse)
    seconds = time.process_time() - started
    return {
        "tasks": min(len(tasks), -(-episodes // GROUP)),
        "seconds": round(seconds, 2),
        "milliseconds_an_episode": round(1000 * seconds / episodes, 3),
    }


if __name__ == "__main__":
    run_program(main)
