"""Runs envtune and another trainer in turn on equal work and compares them: `python -m tools.bench.loop --peer trl`."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from importlib.metadata import version
from typing import Any

from tools.bench.measuring import ROOT, alternate, at_least, require
from tools.bench.peer.work import Report, Work, work_parser

GOAL = "seconds per update at most a third of the peer's"

EQUAL = (
    "model and its float32 weights, tokenizer, prompts to the token, tasks of every update",
    "episodes an update, group size, updates, limits of a completion and of an episode",
    "sampling: temperature 1, the whole vocabulary",
    "optimiser AdamW, learning rate, weight decay, gradient clipping, KL and entropy coefficients, the clips, mean "
    "over sequences of the mean over tokens, rewards scaled by the group's deviation, the reference model",
    "processor threads, no gradient checkpointing, float32 throughout",
)
EQUAL_WITH_TOOLS = (
    "episodes: both play envtune's episode of the task's first user turn, with BFCL's tools, protocol, step limit and "
    "wording of observations, and are rewarded at the end by its progress",
)
EQUAL_WITHOUT_TOOLS = ("length of every completion, to the token; the reward, a function of the text",)
UNEQUAL = (
    "random numbers: the two sample other tokens",
    "TRL generates by model.generate, its default: every step of an episode reads the whole conversation again, and "
    "finished rows wait for the longest; its continuous batching and vLLM are not used",
    "TRL's update is one padded batch of all rows, envtune's is packed in micro-batches of at most 8192 tokens, and "
    "computes a group's prompt once",
    "envtune records the log-probs of sampling and divides by them; TRL takes the update's own",
    "envtune logs some sixty numbers an update, TRL some thirty",
)
UNEQUAL_WITH_TOOLS = (
    "the length of episodes, as they are sampled; tokens a second allow for it",
    "TRL sees one tool that takes a whole response; the schemas of some thirty tools, which it would render for every "
    "prompt otherwise, are left out in its favour",
    "TRL closes a response that was cut off without an end token, envtune with one",
)
UNEQUAL_WITHOUT_TOOLS = ("envtune still makes an episode, with its tools, for every completion",)


def compare(peer: str, arguments: Sequence[str]) -> dict[str, Any]:
    """Run both sides in turn and return the comparison as a record for JSON.

    Exits with one sentence if the peer is not installed or a side fails.
    """
    parser = work_parser("Times envtune against another trainer on equal work.")
    parser.prog = f"python -m tools.bench.loop --peer {peer}"
    parser.add_argument("--rounds", type=at_least(1), default=2, help="how often both sides run")
    options = vars(parser.parse_args(arguments))
    rounds = options.pop("rounds")
    work = Work(**options)
    require(peer, f"{peer} is not installed: pip install -c constraints.txt -e '.[peer]'")
    programs = {"envtune": "ours", peer: peer}
    reports = alternate(programs, rounds, lambda side: run(programs[side], work))
    versions = {name: version(name) for name in (peer, "transformers", "torch")}
    return summary(work, peer, reports) | {"versions": versions}


def run(program: str, work: Work) -> Report:
    """Run one side in a process of its own and return its report, the last line that it prints."""
    environment = os.environ | {"OMP_NUM_THREADS": str(work.threads), "TOKENIZERS_PARALLELISM": "false"}
    command = [sys.executable, "-m", f"tools.bench.peer.{program}", *work.arguments]
    side = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    if side.returncode:
        last = (side.stderr.strip().splitlines() or ["no message"])[-1]
        sys.exit(last if last.startswith("error:") else f"error: {program} failed: {last}")
    return Report.read(side.stdout.strip().splitlines()[-1])


def summary(work: Work, peer: str, reports: Mapping[str, Sequence[Report]]) -> dict[str, Any]:
    """Return the figures of both sides, their ratios, and what was and was not equal."""
    prompts = {report.prompts for side in reports.values() for report in side}
    if len(prompts) > 1:
        sys.exit("error: the two sides were given different prompts: the chat templates do not agree")
    sides = {side: figures(side_reports) for side, side_reports in reports.items()}
    ours, theirs = sides["envtune"], sides[peer]
    pairs = zip(reports["envtune"], reports[peer], strict=True)
    rounds = [figures([other])["seconds_per_update"] / figures([own])["seconds_per_update"] for own, other in pairs]
    tools = not work.plain_tokens
    return {
        "goal": GOAL,
        "work": asdict(work),
        "sides": sides,
        "envtune_against_peer": {
            "seconds_per_update": round(ours["seconds_per_update"] / theirs["seconds_per_update"], 3),
            "times_faster_by_round": [round(ratio, 2) for ratio in rounds],
            "times_the_tokens_per_second": round(ours["tokens_per_second"] / theirs["tokens_per_second"], 2),
        },
        "equal": [*EQUAL, *(EQUAL_WITH_TOOLS if tools else EQUAL_WITHOUT_TOOLS)],
        "not_equal": [*UNEQUAL, *(UNEQUAL_WITH_TOOLS if tools else UNEQUAL_WITHOUT_TOOLS)],
    }


def figures(reports: Sequence[Report]) -> dict[str, Any]:
    """Return the medians of all updates of a side, and its tokens per second over all of them."""
    # The first update of a process warms up.
    updates = [update for report in reports for update in report.updates[1:]]
    seconds = sum(update.seconds for update in updates)
    return {
        "updates": len(updates),
        "seconds_per_update": round(statistics.median(update.seconds for update in updates), 3),
        "of_them_rollout": round(statistics.median(update.rollout_seconds for update in updates), 3),
        "tokens_per_update": round(sum(update.tokens for update in updates) / len(updates)),
        "sampled_per_update": round(sum(update.sampled for update in updates) / len(updates)),
        "tokens_per_second": round(sum(update.tokens for update in updates) / seconds, 1),
        "sampled_per_second": round(sum(update.sampled for update in updates) / seconds, 1),
    }
