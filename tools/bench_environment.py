"""Times ground-truth episodes against BFCL's own executor and checker, and watches memory over many episodes.

    python tools/bench_environment.py                       # all 800 tasks, both ways, in turn
    python tools/bench_environment.py --episodes 50000      # also plays that many, and reports resident memory on the way

An episode of ours starts from text: it builds both worlds, parses each completion, runs the calls, words the
observation, runs the ground truth and judges. BFCL's `multi_turn_checker` starts from decoded calls and does not offer,
word or parse anything. Each task is done by both, one after the other, `--rounds` times; a task's time is its least.

Prints JSON: seconds an episode by category for both, and their ratio.
"""

from __future__ import annotations

import argparse
import gc
import itertools
import json
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import psutil
from bfcl_eval.eval_checker.multi_turn_eval import multi_turn_utils
from bfcl_eval.eval_checker.multi_turn_eval.multi_turn_checker import multi_turn_checker
from rich.progress import track

from envtune.chat.protocol import parse, render_answer, render_calls
from envtune.data.bfcl import CATEGORIES, load_bfcl_tasks, package_data
from envtune.environment.augmentation.actionable import Actionable
from envtune.environment.episode import Episode
from envtune.task import Task
from envtune.trajectory import Trajectory

# The one ground truth that an episode refuses: it uses a tool before the task hands it over.
NOT_PLAYABLE = {"multi_turn_miss_func_49"}
MEMORY_SAMPLES = 10

_names = (f"bench{number}" for number in itertools.count())


def main() -> int:
    """Prints the figures; 1 if a ground truth was judged wrong by either."""
    parser = argparse.ArgumentParser(description="Times the environment against BFCL's executor and checker.")
    parser.add_argument("--rounds", type=int, default=3, help="how often each task is played both ways")
    parser.add_argument("--episodes", type=int, default=0, help="then play this many and report resident memory")
    options = parser.parse_args()
    figures: dict[str, Any] = {"rounds": options.rounds, "seconds_an_episode": {}}
    for category in CATEGORIES:
        figures["seconds_an_episode"][category] = compare(category, options.rounds)
    if options.episodes:
        figures["resident_mib"] = memory(options.episodes)
    print(json.dumps(figures, indent=2))
    return 0


def compare(category: str, rounds: int) -> dict[str, float]:
    """Mean over the category's tasks of the least seconds an episode took, for both, and the ratio of the means."""
    tasks = [task for task in load_bfcl_tasks([category]) if task.id not in NOT_PLAYABLE]
    entries = official_entries(category)
    ours = official = 0.0
    for task in track(tasks, description=category, console=_console(), transient=True):
        entry, ground_truth = entries[task.id]
        texts = completions(task)
        pairs = [
            (seconds(lambda: play(task, texts)), seconds(lambda: check(entry, ground_truth))) for _ in range(rounds)
        ]
        ours += min(pair[0] for pair in pairs)
        official += min(pair[1] for pair in pairs)
    return {"envtune": ours / len(tasks), "bfcl_eval": official / len(tasks), "ratio": official / ours}


def play(task: Task, texts: Sequence[str]) -> Trajectory:
    """One episode of ours, which must succeed."""
    episode = Episode(task, parse, Actionable(), step_limit=2)
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
    pairs = ((json.loads(task), json.loads(answer)["ground_truth"]) for task, answer in zip(tasks, answers, strict=True))
    return {entry["id"]: (entry, ground_truth) for entry, ground_truth in pairs}


def seconds(run: Callable[[], object]) -> float:
    """How long one call took; what the official program keeps in its module is dropped afterwards, off the clock."""
    before = set(vars(multi_turn_utils))
    started = time.perf_counter()
    run()
    elapsed = time.perf_counter() - started
    for added in set(vars(multi_turn_utils)) - before:
        delattr(multi_turn_utils, added)
    return elapsed


def memory(episodes: int) -> list[float]:
    """Resident memory in MiB, before and at ten even places of ``episodes`` episodes over all tasks."""
    playable = [(task, completions(task)) for task in load_bfcl_tasks() if task.id not in NOT_PLAYABLE]
    # One pass first: what is loaded on first use is no growth.
    for task, texts in playable:
        play(task, texts)
    samples = [_resident_mib()]
    endless: Iterator[tuple[Task, list[str]]] = itertools.cycle(playable)
    for number in track(range(1, episodes + 1), description="memory", console=_console(), transient=True):
        play(*next(endless))
        if number % max(1, episodes // MEMORY_SAMPLES) == 0:
            samples.append(_resident_mib())
    return samples


def _resident_mib() -> float:
    gc.collect()
    return round(psutil.Process().memory_info().rss / 2**20, 1)


def _console() -> Any:
    from rich.console import Console

    return Console(stderr=True)


if __name__ == "__main__":
    sys.exit(main())
