"""Measure the growth of a rollout's and an update's time with turns, group size and prompt length.

    python -m tools.bench.growth --plot docs/growth.png                       # all three, up to prompts of 16k tokens
    python -m tools.bench.growth --axes turns --turns 1 2 4 --threads 1       # one of them, smaller

One number grows, the others stay. `Collector.play` plays the episodes on a model of random weights whose completions
are all `--completion` tokens long and each end a turn; every later turn brings a user message of as many tokens. The
update then trains on these episodes. Seconds are the least of `--rounds`.

Prints JSON: for each axis the points, and the exponents b of y = a x^b, fitted by least squares of the logarithms, for
seconds, different tokens (a group's prompt once) and the operations that the model needs on them. Expected exponents:
at most 1 over turns and over episodes of a group, less where the fixed prompt is most of the work; over the prompt the
exponent of the operations, between 1 and 2, since every token attends to all before it. The decoding steps of a rollout
have a fixed cost besides their operations, which on a small model grows with the turns alone.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import envtune.process_start

import numpy as np
import torch
from typing_extensions import override

from envtune.bfcl.benchmark import BFCL
from envtune.bfcl.environment import BFCL_ENVIRONMENT
from envtune.chat.protocol import write_answer
from envtune.chat.template import Template
from envtune.environment.augmentation.none import NoAugmentation
from envtune.program import run_program
from envtune.rollout.collector import Collector, EpisodeRequest
from envtune.task import Split, Task, UserTurn
from envtune.training.model.policy import Policy
from envtune.training.reporting.library_logging import silence_libraries
from tools.bench import random_update
from tools.bench.fixed_length import FixedLength
from tools.bench.measuring import at_least, command_line, print_figures, require, timed
from tools.bench.peer.work import tiny_template

# About the embedded model's widths, the size of its vocabulary, and half of its layers.
SHAPE = random_update.Shape(192, 448, 2, 6, 2, 4096)
# conf/grpo/default.yaml: a prompt longer than a micro-batch would be computed for every row.
MAX_TOKENS = 65536
# One token, in the embedded model's tokenizer.
WORD = " one"
TITLES = {"turns": "turns of an episode", "group_size": "episodes of a group", "prompt": "tokens of the prompt"}
MEASURES = ("rollout_seconds", "rollout_operations", "update_seconds", "update_operations", "different_tokens")


@dataclass(frozen=True, slots=True)
class Point:
    """Size of one group of episodes, lengths in tokens."""

    turns: int = 2
    group_size: int = 8
    prompt: int = 1024
    completion: int = 32


class AnsweringTemplate(Template):
    """A template that decodes every completion as a final answer, so that random tokens end a turn."""

    @override
    def decode(self, ids: Sequence[int]) -> str:
        return write_answer("Done.", "Done.")


def main() -> None:
    """Print the points and exponents of each axis, and plot them if asked to."""
    options = _options()
    if options.plot:
        require(
            "matplotlib", "a plot needs matplotlib: pip install -c constraints.txt -e '.[plot]', or leave --plot away"
        )
    torch.set_num_threads(options.threads)
    silence_libraries()
    values = {"turns": options.turns, "group_size": options.group_sizes, "prompt": options.prompts}
    base = Point(completion=options.completion)
    measure(base, rounds=1)  # warms up
    grown = {axis: grow(axis, values[axis], base, options.rounds) for axis in options.axes}
    print_figures({"model": asdict(SHAPE), "threads": options.threads, "axes": grown})
    if options.plot:
        plot(grown, options.plot)


def grow(axis: str, values: Sequence[int], base: Point, rounds: int) -> dict[str, Any]:
    """Return the points of an axis and the exponents of their measures."""
    points = []
    for value in values:
        print(f"{axis} {value}", file=sys.stderr)
        points.append({axis: value, **measure(replace(base, **{axis: value}), rounds)})
    exponents = {name: round(exponent(values, [point[name] for point in points]), 2) for name in MEASURES}
    return {"points": points, "exponents": exponents}


def exponent(sizes: Sequence[float], measured: Sequence[float]) -> float:
    """Return b of measured = a * sizes^b, by least squares of the logarithms."""
    return float(np.polyfit(np.log(sizes), np.log(measured), 1)[0])


def measure(point: Point, rounds: int) -> dict[str, Any]:
    """Return seconds, tokens and operations of one group's rollout and of the update on it."""
    template = tiny_template(AnsweringTemplate)
    task = task_of(point, template)
    model = random_update.random_model(SHAPE, "cpu")
    generator = FixedLength()
    generator.update_weights(model, 0)
    collector = Collector(
        generator,
        template,
        BFCL_ENVIRONMENT,
        NoAugmentation(),
        step_limit=1,
        max_prompt_tokens=2 * point.prompt,
        # A later turn adds a user message and the tokens of the chat template to its completion.
        max_response_tokens=point.turns * 8 * point.completion,
        max_completion_tokens=point.completion,
    )
    seconds, fed = [], 0
    for number in range(rounds):
        requests = [EpisodeRequest(task, number * point.group_size + seed) for seed in range(point.group_size)]
        fed = generator.fed_tokens
        group, taken = timed(partial(collector.play, requests))
        seconds.append(taken)
        fed = generator.fed_tokens - fed
    rollout = random_update.rollout_of([group])
    updates = random_update.run_updates(Policy(model), rollout, rounds, MAX_TOKENS)
    return {
        "tokens": len(rollout.tensors.ids),
        "different_tokens": rollout.tensors.unique_tokens,
        "fed_tokens": fed,
        "rollout_seconds": round(min(seconds), 4),
        "rollout_operations": random_update.forward_operations(SHAPE, rollout.tensors),
        "update_seconds": round(min(update["time/update"] for update in updates), 4),
        "update_operations": random_update.update_operations(SHAPE, rollout.tensors),
    }


def task_of(point: Point, template: Template) -> Task:
    """Return a task of ``point.turns`` turns whose first message fills the prompt to ``point.prompt`` tokens."""
    task = BFCL(["base"]).tasks(Split.TRAIN)[0]
    task = replace(task, id="growth", tools=task.tools[:1])
    missing = point.prompt - len(template.open(WORD, task.tools))
    if missing < 0:
        sys.exit(f"error: a prompt of {point.prompt} tokens is too short: give at least {point.prompt - missing}")
    later = UserTurn(WORD * point.completion, ())
    return replace(task, turns=(UserTurn(WORD * (1 + missing), ()), *[later] * (point.turns - 1)))


def plot(grown: Mapping[str, Any], path: Path) -> None:
    """Plot seconds over each axis, both logarithmic; dashed lines grow from the first point as the operations do."""
    from matplotlib.figure import Figure
    from matplotlib.ticker import LogLocator, NullFormatter

    figure = Figure(figsize=(4 * len(grown), 3.6), layout="constrained")
    axes = figure.subplots(1, len(grown), sharey=True, squeeze=False)[0]
    for ax, (axis, growth) in zip(axes, grown.items(), strict=True):
        points = growth["points"]
        sizes = [point[axis] for point in points]
        for part, color in (("rollout", "tab:blue"), ("update", "tab:orange")):
            seconds, operations = (
                np.array([p[f"{part}_{kind}"] for p in points]) for kind in ("seconds", "operations")
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
    parser = command_line(__doc__, completion=(32, "tokens of a completion or later message"), rounds=2, threads=2)
    parser.add_argument("--axes", nargs="+", choices=TITLES, default=list(TITLES), help="what grows")
    parser.add_argument("--turns", type=at_least(1), nargs="+", default=[1, 2, 4, 8])
    parser.add_argument("--group-sizes", type=at_least(2), nargs="+", default=[4, 8, 16, 32])
    parser.add_argument(
        "--prompts", type=at_least(1), nargs="+", default=[1024 * 2**n for n in range(5)], help="tokens"
    )
    parser.add_argument("--plot", type=Path, help="a picture's path, such as docs/growth.png")
    options = parser.parse_args()
    for name in ("turns", "group_sizes", "prompts"):
        if len(set(getattr(options, name))) < 2:
            sys.exit(f"error: --{name.replace('_', '-')} needs two or more different numbers, to fit an exponent")
    return options


if __name__ == "__main__":
    run_program(main)
