"""Play real tasks with responses from correct to hostile, and count the outcomes.

    python -m tools.fuzz.environment --episodes 20000 --seed 0

One episode in eight consists of hostile responses that build on each other, the others are mixed; a quarter of them
are truncated as at a token limit. Steps are timed in seconds of processor time, since a step waits for nothing and
other programs may delay it; the longest step by the clock is printed too. One episode in 25 traces memory instead
(``tracemalloc``: the peak of a step above the memory before it, which takes several times as long), and its record is
written and read back. Counts depend on the seed alone.

Exits with 1 if a step took 1 s of processor time or 64 MiB or more, or raised an exception.
"""

from __future__ import annotations

import argparse
import gc
import json
import random
import re
import time
import traceback
import tracemalloc
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

import envtune.process_start

from rich.console import Console
from rich.progress import track

from envtune import trajectory_file
from envtune.bfcl.benchmark import load_bfcl_tasks
from envtune.bfcl.environment import BFCL_ENVIRONMENT
from envtune.chat.protocol import parse
from envtune.environment.augmentation.actionable import Actionable
from envtune.environment.episode import AtStepLimit, Episode, Observation
from envtune.program import run_program
from envtune.task import Task
from envtune.trajectory import FormatError, Trajectory
from tools.fuzz.responses import response

MAX_SECONDS, MAX_BYTES = 1.0, 64 * 1024**2
TRACED_SHARE = 0.04
HOSTILE_SHARE = 0.125
HEAD, SHOWN_ERRORS = 120, 5
COUNTED = ("responses", "actions", "faults", "results", "ends")
MIXED = {"ground truth": 30, "mutated": 20, "any calls": 20, "broken protocol": 15, "hostile": 5, "answer": 10}
HOSTILE = {"hostile": 85, "mutated": 10, "answer": 5}
# Endings of the refusals in envtune/environment/limits/.
REFUSED = re.compile(
    r"(are allowed|can be shown|in your next response|\d+ digits|levels( deep at most)?|\d+ bits|to write down"
    r"|inside itself|\(NaN\)|surrogate pair)\Z"
)


@dataclass(frozen=True, slots=True)
class Costly:
    """The most expensive step so far in seconds or bytes."""

    amount: float = 0.0
    task_id: str = ""
    head: str = ""


@dataclass(slots=True)
class Tally:
    """Outcomes of the responses so far."""

    counts: dict[str, Counter[str]] = field(default_factory=lambda: {name: Counter() for name in COUNTED})
    slowest: Costly = Costly()
    seconds: float = 0.0
    longest: float = 0.0
    timed: int = 0
    traced: int = 0
    hints: int = 0
    largest: Costly = Costly()
    raised: list[str] = field(default_factory=list)

    def add(self, trajectory: Trajectory) -> None:
        """Count the actions, results and the end of an episode."""
        self.counts["ends"][str(trajectory.end)] += 1
        for step in trajectory.steps:
            self.counts["actions"][type(step.action).__name__] += 1
            if isinstance(step.action, FormatError):
                self.counts["faults"][str(step.action.fault)] += 1
            for result in step.results:
                outcome = "ok" if result.ok else "refused by a bound" if REFUSED.search(result.text) else "failed"
                self.counts["results"][outcome] += 1
                self.hints += result.hint is not None

    @property
    def passed(self) -> bool:
        """Whether every step stayed below its limits and nothing raised."""
        return not self.raised and self.slowest.amount < MAX_SECONDS and self.largest.amount < MAX_BYTES


def main() -> int:
    """Print the counts and return 1 if a step exceeded its limits or raised, else 0."""
    parser = argparse.ArgumentParser(description="Play real tasks with responses from correct to hostile.")
    parser.add_argument("--episodes", type=int, default=1_000)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    tasks = load_bfcl_tasks()
    # A pass of the garbage collector over the tasks would count as a step's time.
    gc.freeze()
    tally = fuzz(tasks, given.episodes, given.seed)
    print(report(tally))
    return 0 if tally.passed else 1


def fuzz(tasks: Sequence[Task], episodes: int, seed: int) -> Tally:
    """Play ``episodes`` episodes; the randomness of each depends on the seed and its number alone."""
    tally = Tally()
    for number in track(range(episodes), "Playing", console=Console(stderr=True)):
        rng = random.Random(f"{seed}/{number}")
        task = rng.choice(tasks)
        texts: list[str] = []
        try:
            _play(task, rng, texts, tally)
        except Exception:
            tally.raised.append(f"{task.id} {_head(''.join(texts[-1:]))} {traceback.format_exc()}")
            tracemalloc.stop()
    return tally


def _play(task: Task, rng: random.Random, texts: list[str], tally: Tally) -> None:
    temper = HOSTILE if rng.random() < HOSTILE_SHARE else MIXED
    truncated_after = rng.choice((None, None, None, rng.randint(1, 30)))
    traced = rng.random() < TRACED_SHARE
    hints = Actionable().for_episode(BFCL_ENVIRONMENT, task, seed=0)
    at_step_limit: AtStepLimit = rng.choice(("next_turn", "end"))
    episode = Episode(BFCL_ENVIRONMENT, task, parse, hints, rng.choice((5, 20, 60)), at_step_limit)
    episode.reset()
    step = _traced_step if traced else _timed_step
    done = False
    while not done:
        kind = rng.choices(tuple(temper), tuple(temper.values()))[0]
        texts.append(response(kind, rng, task, len(episode.turns)))
        tally.counts["responses"][kind] += 1
        observation = step(episode, texts[-1], task, tally)
        observation.text.encode("utf-8")
        done = observation.done
        if not done and len(texts) == truncated_after:
            episode.truncate()
            done = True
    trajectory = episode.finish()
    tally.add(trajectory)
    if traced:
        written = json.dumps(trajectory_file.to_json(trajectory))
        if trajectory_file.from_json(json.loads(written)) != trajectory:
            raise AssertionError("the record changed when it was written and read")


def _timed_step(episode: Episode, text: str, task: Task, tally: Tally) -> Observation:
    started, processor_started = time.perf_counter(), time.process_time()
    observation = episode.step(text)
    seconds = time.process_time() - processor_started
    tally.longest = max(tally.longest, time.perf_counter() - started)
    tally.seconds += seconds
    tally.timed += 1
    if seconds > tally.slowest.amount:
        tally.slowest = Costly(seconds, task.id, _head(text))
    return observation


def _traced_step(episode: Episode, text: str, task: Task, tally: Tally) -> Observation:
    tracemalloc.start()
    try:
        before, _ = tracemalloc.get_traced_memory()
        observation = episode.step(text)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    tally.traced += 1
    if peak - before > tally.largest.amount:
        tally.largest = Costly(peak - before, task.id, _head(text))
    return observation


def _head(text: str) -> str:
    return ascii(text[:HEAD])


def report(tally: Tally) -> str:
    """Return all counts, the most expensive steps and the first tracebacks as text."""
    lines = []
    for name, counts in tally.counts.items():
        listed = sorted(counts.items(), key=lambda pair: (-pair[1], pair[0]))
        lines.append(f"{name}: {counts.total()} ({', '.join(f'{outcome} {count}' for outcome, count in listed)})")
    slowest, largest = tally.slowest, tally.largest
    lines += [
        f"hints: {tally.hints}",
        f"mean step: {1e3 * tally.seconds / max(tally.timed, 1):.2f} ms of {tally.timed} timed",
        f"slowest step: {slowest.amount:.3f} s, {slowest.task_id}, {slowest.head}",
        f"longest step by the clock: {tally.longest:.3f} s",
        f"largest step: {largest.amount / 1024**2:.1f} MB of {tally.traced} traced, {largest.task_id}, {largest.head}",
        f"raised: {len(tally.raised)}",
        *tally.raised[:SHOWN_ERRORS],
    ]
    return "\n".join(lines)


if __name__ == "__main__":
    run_program(main)
