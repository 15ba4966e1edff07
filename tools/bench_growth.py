"""How the time of a rollout and of an update grows with turns, group size and prompt length.

    python tools/bench_growth.py --plot docs/growth.png                       # all three, up to prompts of 16k tokens
    python tools/bench_growth.py --axes turns --turns 1 2 4 --threads 1       # one of them, smaller

One number grows, the others stay. An episode is played by `Collector.play` on a model of random weights whose
completions are all `--completion` tokens long and end their turn, whatever they say; every turn brings a user message
of about as many. The update is then made of what was played. Seconds are the least of `--rounds`.

Prints JSON: for each axis the points, and the exponents b of y = a x^b, fitted by least squares of the logarithms, for
seconds, for different tokens (a group's prompt once) and for the operations that the model needs on them. What to
expect: at most 1 over turns and over episodes of a group, less where the fixed prompt is most of the work; over the
prompt the exponent of the operations, between 1 and 2, since every token looks back at all before it. A rollout's
decoding steps have a fixed cost beside their operations: on a small model it grows with turns alone.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import envtune.process_start

import numpy as np
import peer_work
import torch
from fixed_length import FixedLength
from operations import forward_operations, update_operations
from random_update import Shape, random_model, rollout_of, run_updates

from envtune.chat.template import Template
from envtune.data.bfcl import BFCL
from envtune.environment.augmentation.none import NoAugmentation
from envtune.program import run_program
from envtune.rollout import collector as rollout
from envtune.rollout.collector import Collector, EpisodeRequest
from envtune.task import Split, Task, UserTurn
from envtune.training.library_noise import silence_libraries
from envtune.training.policy import Policy
from envtune.trajectory import FinalAnswer, Trajectory

# About the embedded model's widths, the size of its vocabulary, and half of its layers.
SHAPE = Shape(192, 448, 2, 6, 2, 4096)
# conf/grpo/default.yaml: a prompt longer than a micro-batch would be computed for every row.
MAX_TOKENS = 65536
WORD = " one"
TITLES = {"turns": "turns of an episode", "group_size": "episodes of a group", "prompt": "tokens of the prompt"}
AXES = tuple(TITLES)
MEASURES = ("rollout_seconds", "rollout_operations", "update_seconds", "update_operations", "different_tokens")


@dataclass(frozen=True, slots=True)
class Point:
    """The size of one group of episodes, lengths in tokens."""

    turns: int = 2
    group_size: int = 8
    prompt: int = 1024
    completion: int = 32


def main() -> int:
    options = _options()
    if options.plot and find_spec("matplotlib") is None:
        sys.exit("error: a plot needs matplotlib: pip install -c constraints.txt -e '.[plot]', or leave --plot away")
    torch.set_num_threads(options.threads)
    silence_libraries()
    values = {"turns": options.turns, "group_size": options.group_sizes, "prompt": options.prompts}
    base = Point(completion=options.completion)
    measure(base, rounds=1)  # warms up
    grown = {axis: grow(axis, values[axis], base, options.rounds) for axis in options.axes}
    print(json.dumps({"model": asdict(SHAPE), "threads": options.threads, "axes": grown}, indent=2))
    if options.plot:
        plot(grown, options.plot)
    return 0


def grow(axis: str, values: Sequence[int], base: Point, rounds: int) -> dict[str, Any]:
    """All points of an axis, and the exponents of what was measured."""
    points = []
    for value in values:
        print(f"{axis} {value}", file=sys.stderr)
        points.append({axis: value, **measure(replace(base, **{axis: value}), rounds)})
    exponents = {name: round(exponent(values, [point[name] for point in points]), 2) for name in MEASURES}
    return {"points": points, "exponents": exponents}


def exponent(sizes: Sequence[float], measured: Sequence[float]) -> float:
    """b of measured = a * sizes^b, by least squares of the logarithms."""
    return float(np.polyfit(np.log(sizes), np.log(measured), 1)[0])


def measure(point: Point, rounds: int) -> dict[str, Any]:
    """Seconds, tokens and operations of one group's rollout and of the update on it."""
    template = peer_work.template()
    task = task_of(point, template)
    model = random_model(SHAPE, "cpu")
    generator = FixedLength()
    generator.update_weights(model, 0)
    collector = Collector(
        generator,
        template,
        NoAugmentation(),
        step_limit=1,
        max_prompt_tokens=2 * point.prompt,
        max_response_tokens=point.turns * 8 * point.completion,
        max_completion_tokens=point.completion,
    )
    seconds = []
    for number in range(rounds):
        fed, started = generator.fed_tokens, time.perf_counter()
        group = play(collector, task, point.group_size, number)
        seconds.append(time.perf_counter() - started)
        fed = generator.fed_tokens - fed
    rollout = rollout_of([group])
    updates = run_updates(Policy(model), rollout, rounds, MAX_TOKENS)
    return {
        "tokens": int(rollout.tensors.lengths.sum()),
        "different_tokens": rollout.tensors.unique_tokens,
        "fed_tokens": fed,
        "rollout_seconds": round(min(seconds), 4),
        "rollout_operations": forward_operations(SHAPE, rollout.tensors),
        "update_seconds": round(min(update["time/update"] for update in updates), 4),
        "update_operations": update_operations(SHAPE, rollout.tensors),
    }


def play(collector: Collector, task: Task, group_size: int, number: int) -> list[Trajectory]:
    """Return one group's episodes, in which every response ends its turn."""
    requests = [EpisodeRequest(task, seed) for seed in range(number * group_size, (number + 1) * group_size)]
    parse = rollout.parse
    rollout.parse = lambda completion: FinalAnswer("", completion)
    try:
        return collector.play(requests)
    finally:
        rollout.parse = parse


def task_of(point: Point, template: Template) -> Task:
    """A task of so many turns, whose first message fills the prompt up to its length."""
    task = BFCL(["base"]).tasks(Split.TRAIN)[0]
    task = replace(task, id="growth", tools=task.tools[:1])
    # One token a word, in the embedded model's tokenizer.
    missing = point.prompt - len(template.open(WORD, task.tools))
    if missing < 0:
        sys.exit(f"error: a prompt of {point.prompt} tokens is too short: give at least {point.prompt - missing}")
    later = UserTurn(WORD * point.completion, ())
    turns = (UserTurn(WORD * (1 + missing), ()), *(later for _ in range(point.turns - 1)))
    return replace(task, turns=turns)


def plot(grown: Mapping[str, Any], path: Path) -> None:
    """Seconds over each axis, both logarithmic; dashed, what the operations would have made of the first point."""
    from matplotlib.figure import Figure
    from matplotlib.ticker import LogLocator, NullFormatter

    figure = Figure(figsize=(4 * len(grown), 3.6), layout="constrained")
    axes = figure.subplots(1, len(grown), sharey=True, squeeze=False)[0]
    for ax, (axis, growth) in zip(axes, grown.items(), strict=True):
        sizes = [point[axis] for point in growth["points"]]
        for part, color in (("rollout", "tab:blue"), ("update", "tab:orange")):
            seconds, operations = (
                np.array([point[f"{part}_{kind}"] for point in growth["points"]]) for kind in ("seconds", "operations")
            )
            fitted = growth["exponents"][f"{part}_seconds"]
            ax.loglog(sizes, seconds, "o-", color=color, label=f"{part}, exponent {fitted}")
            ax.loglog(sizes, seconds[0] * operations / operations[0], "--", color=color, alpha=0.5)
        ax.set_xticks(sizes, [str(size) for size in sizes])
        ax.xaxis.minorticks_off()
        ax.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        ax.yaxis.set_major_formatter("{x:g}")
        ax.yaxis.set_minor_formatter(NullFormatter())
        ax.set_xlabel(TITLES[axis])
        ax.legend(fontsize="small")
    axes[0].set_ylabel("seconds")
    figure.savefig(path, dpi=120)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Fits how rollout and update times grow with the work.")
    parser.add_argument("--axes", nargs="+", choices=AXES, default=list(AXES), help="what grows")
    parser.add_argument("--turns", type=int, nargs="+", default=[1, 2, 4, 8])
    parser.add_argument("--group-sizes", type=int, nargs="+", default=[4, 8, 16, 32])
    parser.add_argument("--prompts", type=int, nargs="+", default=[1024, 2048, 4096, 8192, 16384], help="tokens")
    parser.add_argument("--completion", type=int, default=32, help="tokens of a completion and of a later message")
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--plot", type=Path, help="a picture's path, such as docs/growth.png")
    options = parser.parse_args()
    for name, values in (("turns", options.turns), ("group-sizes", options.group_sizes), ("prompts", options.prompts)):
        least = 2 if name == "group-sizes" else 1
        if len(set(values)) < 2 or min(values) < least:
            sys.exit(f"error: --{name} needs two or more different numbers of {least} or more, to fit an exponent")
    return options


if __name__ == "__main__":
    run_program(main)
