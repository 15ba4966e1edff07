"""Time ground-truth episodes against BFCL's own executor and checker, and measure memory over many episodes.

    python -m tools.bench.environment                     # all 800 tasks, both ways, in turn
    python -m tools.bench.environment --episodes 50000    # also plays that many and reports resident memory on the way

Both sides receive the ground truth as decoded calls: `multi_turn_checker`, and an `Episode` that builds the agent's
world, runs the calls, writes the observations and judges every turn. Both sides play each task in turn, `--rounds`
times, and its least time counts. Two further columns show the rest: `envtune_with_parsing` also parses the responses,
and `envtune_first` is the first episode of a task, which loads its worlds and plays its twin for all later ones.

Prints JSON: mean milliseconds of processor time an episode by category for both sides, and their ratio.
"""

from __future__ import annotations

import functools
import gc
import itertools
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import envtune.process_start

import psutil
from bfcl_eval.eval_checker.multi_turn_eval import multi_turn_utils
from bfcl_eval.eval_checker.multi_turn_eval.multi_turn_checker import multi_turn_checker
from rich.console import Console
from rich.progress import track

from envtune.bfcl.benchmark import load_bfcl_tasks, package_entries
from envtune.bfcl.category import CATEGORIES
from envtune.bfcl.environment import BFCL_ENVIRONMENT
from envtune.chat.protocol import parse, write_answer, write_calls
from envtune.environment.augmentation.actionable import Actionable
from envtune.environment.episode import Episode
from envtune.environment.interface import Environment
from envtune.program import run_program
from envtune.task import Task
from envtune.trajectory import Action
from tools.bench.measuring import command_line, print_figures

# The one ground truth that an episode refuses: it uses a tool before the task offers it.
NOT_PLAYABLE = {"multi_turn_miss_func_49"}
MEMORY_SAMPLES = 10
# As in training: every result is checked for a hint, and the ground truth gets none.
_AUGMENTATION = Actionable()

_names = (f"bench{number}" for number in itertools.count())
_track = functools.partial(track, console=Console(stderr=True), transient=True)


def main() -> None:
    """Print the figures."""
    options = command_line(
        __doc__,
        rounds=(3, "how often both sides play each task"),
        episodes=(0, "then play this many and report resident memory"),
    ).parse_args()
    entries = package_entries()
    times = {category: compare(category, options.rounds, entries) for category in CATEGORIES}
    figures: dict[str, Any] = {"rounds": options.rounds, "milliseconds_an_episode": times}
    if options.episodes:
        figures["resident_mib"] = memory(options.episodes)
    print_figures(figures)


def compare(category: str, rounds: int, entries: Mapping[str, dict[str, Any]]) -> dict[str, float]:
    """Return mean milliseconds over the category's tasks: of the least times, and of the first episode of each task."""
    tasks = [task for task in load_bfcl_tasks([category]) if task.id not in NOT_PLAYABLE]
    sums = dict.fromkeys(("bfcl_eval", "envtune", "envtune_with_parsing", "envtune_first"), 0.0)
    for task in _track(tasks, description=category):
        texts = completions(task)
        actions = {text: parse(text) for text in texts}
        decoded = functools.partial(play, BFCL_ENVIRONMENT, task, texts, actions.__getitem__)
        ways: dict[str, Callable[[], object]] = {
            # First in the order: the twin of the task has not been played then.
            "envtune_first": decoded,
            "envtune": decoded,
            "bfcl_eval": functools.partial(check, entries[task.id]),
            "envtune_with_parsing": functools.partial(play, BFCL_ENVIRONMENT, task, texts, parse),
        }
        times = [{name: seconds(run) for name, run in ways.items()} for _ in range(rounds)]
        for name in ways:
            sums[name] += times[0][name] if name == "envtune_first" else min(taken[name] for taken in times)
    figures = {name: round(1000 * total / len(tasks), 3) for name, total in sums.items()}
    return figures | {"ratio": round(sums["bfcl_eval"] / sums["envtune"], 2)}


def play(environment: Environment, task: Task, texts: Sequence[str], read: Callable[[str], Action]) -> None:
    """Play one episode.

    Raises:
        RuntimeError: if the episode did not succeed.
    """
    hints = _AUGMENTATION.for_episode(environment, task, seed=0)
    episode = Episode(environment, task, read, hints, step_limit=2)
    episode.reset()
    for text in texts:
        episode.step(text)
    if not episode.finish().success:
        raise RuntimeError(f"the ground truth of {task.id} failed")


def check(entry: dict[str, Any]) -> None:
    """Run the official checker once on the ground truth of an entry.

    Raises:
        RuntimeError: if the checker judges it wrong.
    """
    ground_truth = entry["ground_truth"]
    decoded = [[turn] if turn else [] for turn in ground_truth]
    # The checker keeps worlds by the name of the model: a new name starts with new worlds.
    if not multi_turn_checker(decoded, ground_truth, entry, "multi_turn", next(_names))["valid"]:
        raise RuntimeError(f"the ground truth of {entry['id']} failed officially")


def completions(task: Task) -> list[str]:
    """Return the responses of a perfect agent: the calls of a turn in one step, then an answer."""
    texts = []
    for turn in task.turns:
        if turn.ground_truth:
            texts.append(write_calls("These calls are due.", turn.ground_truth))
        texts.append(write_answer("Nothing more is due.", "Done."))
    return texts


def seconds(run: Callable[[], object]) -> float:
    """Return the processor seconds of one call; worlds that the official program cached are deleted off the clock."""
    before = set(vars(multi_turn_utils))
    started = time.process_time()
    run()
    elapsed = time.process_time() - started
    for added in set(vars(multi_turn_utils)) - before:
        delattr(multi_turn_utils, added)
    return elapsed


def memory(episodes: int) -> list[float]:
    """Return resident memory in MiB before ``episodes`` episodes over all tasks and after each tenth of them."""
    playable = [(task, completions(task)) for task in load_bfcl_tasks() if task.id not in NOT_PLAYABLE]
    # One pass first: memory that is allocated on first use is not growth.
    for task, texts in playable:
        play(BFCL_ENVIRONMENT, task, texts, parse)
    samples = [_resident_mib()]
    endless: Iterator[tuple[Task, list[str]]] = itertools.cycle(playable)
    for number in _track(range(1, episodes + 1), description="memory"):
        play(BFCL_ENVIRONMENT, *next(endless), parse)
        if number % max(1, episodes // MEMORY_SAMPLES) == 0:
            samples.append(_resident_mib())
    return samples


def _resident_mib() -> float:
    gc.collect()
    return round(psutil.Process().memory_info().rss / 2**20, 1)


if __name__ == "__main__":
    run_program(main)
