"""Times ground-truth episodes against BFCL's own executor and checker, and watches memory over many episodes.

    python -m tools.bench.environment                     # all 800 tasks, both ways, in turn
    python -m tools.bench.environment --episodes 50000    # also plays that many and reports resident memory on the way

Both get the ground truth as decoded calls: `multi_turn_checker`, and an `Episode` that builds the agent's world, runs
the calls, words the observations and judges every turn. Each task is done by both, one after the other, `--rounds`
times, and its least time counts. Two further columns say what that leaves out: parsing what an agent writes, and the
first episode of a task, which loads its worlds and plays its twin for all later ones.

Prints JSON: mean milliseconds of CPU time an episode by category for both, and their ratio.
"""

from __future__ import annotations

import argparse
import functools
import gc
import itertools
import json
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import envtune.process_start

import psutil
from bfcl_eval.eval_checker.multi_turn_eval import multi_turn_utils
from bfcl_eval.eval_checker.multi_turn_eval.multi_turn_checker import multi_turn_checker
from rich.console import Console
from rich.progress import track

from envtune.chat.protocol import parse, render_answer, render_calls
from envtune.data.bfcl import CATEGORIES, load_bfcl_tasks, package_data
from envtune.environment.augmentation.actionable import Actionable
from envtune.environment.episode import Episode
from envtune.program import run_program
from envtune.task import Task
from envtune.trajectory import Action, Trajectory

# The one ground truth that an episode refuses: it uses a tool before the task hands it over.
NOT_PLAYABLE = {"multi_turn_miss_func_49"}
MEMORY_SAMPLES = 10
# As in training: every result is looked at, and here none fails.
_AUGMENTATION = Actionable()

_names = (f"bench{number}" for number in itertools.count())


def main() -> int:
    """Prints the figures; 1 if a ground truth was judged wrong by either."""
    parser = argparse.ArgumentParser(description="Times the environment against BFCL's executor and checker.")
    parser.add_argument("--rounds", type=int, default=3, help="how often each task is played both ways")
    parser.add_argument("--episodes", type=int, default=0, help="then play this many and report resident memory")
    options = parser.parse_args()
    figures: dict[str, Any] = {"rounds": options.rounds, "milliseconds_an_episode": {}}
    for category in CATEGORIES:
        figures["milliseconds_an_episode"][category] = compare(category, options.rounds)
    if options.episodes:
        figures["resident_mib"] = memory(options.episodes)
    print(json.dumps(figures, indent=2))
    return 0


def compare(category: str, rounds: int) -> dict[str, float]:
    """Mean over the category's tasks of an episode's least milliseconds, and of those of each task's first one."""
    tasks = [task for task in load_bfcl_tasks([category]) if task.id not in NOT_PLAYABLE]
    entries = official_entries(category)
    sums = dict.fromkeys(("bfcl_eval", "envtune", "envtune_with_parsing", "envtune_first"), 0.0)
    for task in track(tasks, description=category, console=Console(stderr=True), transient=True):
        texts = completions(task)
        actions = {text: parse(text) for text in texts}
        ways: dict[str, Callable[[], object]] = {
            "envtune_first": functools.partial(play, task, texts, actions.__getitem__),
            "envtune": functools.partial(play, task, texts, actions.__getitem__),
            "bfcl_eval": functools.partial(check, *entries[task.id]),
            "envtune_with_parsing": functools.partial(play, task, texts, parse),
        }
        times = {name: [seconds(ways[name])] for name in ways}
        for _ in range(rounds - 1):
            for name in ways:
                times[name].append(seconds(ways[name]))
        for name, taken in times.items():
            sums[name] += taken[0] if name == "envtune_first" else min(taken)
    figures = {name: round(1000 * total / len(tasks), 3) for name, total in sums.items()}
    return figures | {"ratio": round(sums["bfcl_eval"] / sums["envtune"], 2)}


def play(task: Task, texts: Sequence[str], read: Callable[[str], Action]) -> Trajectory:
    """One episode of ours, which must succeed."""
    episode = Episode(task, read, _AUGMENTATION, step_limit=2)
    episode.reset()
    for text in texts:
        episode.step(text)
    trajectory = episode.finish()
    if not trajectory.success:
        raise RuntimeError(f"the ground truth of {task.id} failed")
    return trajectory


def check(entry: dict[str, Any], ground_truth: list[list[str]]) -> None:
    """One run of the official checker on the ground truth, under a name of its own, which must be valid."""
    decoded = [[turn] if turn else [] for turn in ground_truth]
    if not multi_turn_checker(decoded, ground_truth, entry, "multi_turn", next(_names))["valid"]:
        raise RuntimeError(f"the ground truth of {entry['id']} failed officially")


def completions(task: Task) -> list[str]:
    """What a perfect agent writes: a turn's calls in one step, then an answer."""
    texts = []
    for turn in task.turns:
        if turn.ground_truth:
            texts.append(render_calls("These calls are due.", turn.ground_truth))
        texts.append(render_answer("Nothing more is due.", "Done."))
    return texts


def official_entries(category: str) -> dict[str, tuple[dict[str, Any], list[list[str]]]]:
    """The benchmark's lines by their ids, with their ground truths."""
    name = f"BFCL_v4_multi_turn_{category}.json"
    tasks = (package_data() / name).read_text(encoding="utf-8").splitlines()
    answers = (package_data() / "possible_answer" / name).read_text(encoding="utf-8").splitlines()
    pairs = (
        (json.loads(task), json.loads(answer)["ground_truth"]) for task, answer in zip(tasks, answers, strict=True)
    )
    return {entry["id"]: (entry, ground_truth) for entry, ground_truth in pairs}


def seconds(run: Callable[[], object]) -> float:
    """CPU time of one call; what the official program keeps in its module is dropped afterwards, off the clock."""
    before = set(vars(multi_turn_utils))
    started = time.process_time()
    run()
    elapsed = time.process_time() - started
    for added in set(vars(multi_turn_utils)) - before:
        delattr(multi_turn_utils, added)
    return elapsed


def memory(episodes: int) -> list[float]:
    """Resident memory in MiB, before and at ten even places of ``episodes`` episodes over all tasks."""
    playable = [(task, completions(task)) for task in load_bfcl_tasks() if task.id not in NOT_PLAYABLE]
    # One pass first: what is loaded on first use is no growth.
    for task, texts in playable:
        play(task, texts, parse)
    samples = [_resident_mib()]
    endless: Iterator[tuple[Task, list[str]]] = itertools.cycle(playable)
    for number in track(range(1, episodes + 1), description="memory", console=Console(stderr=True), transient=True):
        play(*next(endless), parse)
        if number % max(1, episodes // MEMORY_SAMPLES) == 0:
            samples.append(_resident_mib())
    return samples


def _resident_mib() -> float:
    gc.collect()
    return round(psutil.Process().memory_info().rss / 2**20, 1)


if __name__ == "__main__":
    run_program(main)
