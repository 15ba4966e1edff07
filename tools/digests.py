"""Print digests of what a restructuring must not change: verdicts, played episodes, one short run.

    python tools/digests.py                                  # of this checkout, in about two minutes
    python tools/digests.py --against ../main                # also of another one; exit status 1 where they differ
    python tools/digests.py --only verdicts --only episodes  # without the run, in half a minute

- `verdicts`: `tools/score.py` on 4,000 recordings of calls, five for each of BFCL's 800 multi-turn tasks: the ground
  truth and four random departures from it. They depend on the code alone: a test in tests/parity checks a subset.
- `episodes`: these calls as responses in live episodes with hints: prompts, observations, hints, ends, verdicts.
- `trajectories`, `metrics`: three updates and three validations of `train.py` on generated tasks, on the CPU with one
  thread. Reproducible on one machine only, because processors round differently. Times, rates and memory are left out.

Counts beside the digests show their coverage. A digest is the SHA-256 of canonical JSON lines. The checkout at FOLDER
runs this file with FOLDER first on its path. The file imports few names of envtune and finds tasks and hints through
`conf/`, so that modules may move between the two. `tools.bench.environment` measures the time of an episode (bounds in
docs/performance.md).
"""

from __future__ import annotations

import argparse
import csv
import hashlib
import json
import os
import random
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import envtune.process_start

from hydra.utils import instantiate
from omegaconf import OmegaConf

from envtune.call_text import render_call
from envtune.chat.protocol import parse, write_answer, write_calls
from envtune.environment.episode import Episode
from envtune.program import run_program
from envtune.task import Split, Task, ToolCall
from envtune.trajectory_file import to_json

Calls = list[list[ToolCall]]
"""The calls of each turn."""
Digests = dict[str, dict[str, Any]]

PARTS = ("verdicts", "episodes", "run")
DEPARTURES = 4
# More than the calls of any turn.
STEP_LIMIT = 100
RUN = [
    *("debug=fast", "data=playground", "trainer=cpu", "logger=csv", "model.dtype=float32", "seed=0"),
    *("grpo.group_size=4", "trainer.max_steps=3", "trainer.val_check_interval=2"),
]
# All metrics in seconds or bytes.
NOT_COMPARED = (
    "time/", "perf/step_time", "perf/tokens_per_s", "perf/sampled_tokens_per_s", "perf/update_tokens_per_s",
    "perf/resident_memory", "perf/peak_memory",
)  # fmt: skip


def main() -> int:
    """Print the digests; return 1 and name the differing ones on stderr if another checkout has others, else 0."""
    parser = argparse.ArgumentParser(description="Print digests of verdicts, episodes and a short run, as JSON.")
    parser.add_argument("--against", type=Path, metavar="FOLDER", help="another checkout to compare with this one")
    parser.add_argument("--only", action="append", choices=PARTS, help="a part; may be given several times")
    options = parser.parse_args()
    parts = options.only or PARTS
    here = digests(parts)
    print(json.dumps(here, indent=2))
    if options.against is None:
        return 0
    there = digests_of(options.against, parts)
    print(json.dumps(there, indent=2))
    differing = [name for name in here if here[name] != there[name]]
    sentences = (f"{name} differ from those of {options.against}" for name in differing)
    print("\n".join(sentences) or f"all digests are those of {options.against}", file=sys.stderr)
    return 1 if differing else 0


def digests_of(folder: Path, parts: Sequence[str]) -> Digests:
    """Run this file with the modules of the checkout at ``folder`` and return its digests."""
    command = [sys.executable, str(Path(__file__).resolve()), *(f"--only={part}" for part in parts)]
    environment = os.environ | {"PYTHONPATH": str(folder.resolve())}
    return json.loads(subprocess.run(command, cwd=folder, env=environment, stdout=subprocess.PIPE, check=True).stdout)


def digests(parts: Sequence[str]) -> Digests:
    """Return the digests of the checkout in the working directory by name."""
    found: Digests = {}
    if "verdicts" in parts:
        found["verdicts"] = summary(verdicts(recordings()))
    if "episodes" in parts:
        found["episodes"] = summary(play(task, turns) for task, turns in recordings())
    if "run" in parts:
        with tempfile.TemporaryDirectory() as folder:
            train(Path(folder))
            found["trajectories"] = summary(trajectories(Path(folder)))
            found["metrics"] = summary(metrics(Path(folder)))
    return found


def summary(records: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """Return the digest of the records in order, their number, and the numbers of passed and failed turns."""
    digest, counts = hashlib.sha256(), Counter(records=0)
    for record in records:
        digest.update(json.dumps(record, sort_keys=True).encode() + b"\n")
        counts["records"] += 1
        for turn in record.get("turns", ()):
            verdict = turn.get("verdict", turn)
            passed = verdict["state"] and verdict["response"]
            counts["turns passed" if passed else "turns failed"] += 1
    return {"sha256": digest.hexdigest(), **counts}


def recordings() -> Iterator[tuple[Task, Calls]]:
    """Yield every task with its ground truth, then with `DEPARTURES` departures, which depend on its id alone."""
    source = instantiate(OmegaConf.load("conf/data/bfcl.yaml"))
    tasks = sorted((*source.tasks(Split.TRAIN), *source.tasks(Split.TEST)), key=lambda task: task.id)
    for task in tasks:
        turns = [list(turn.ground_truth) for turn in task.turns]
        yield task, turns
        for number in range(DEPARTURES):
            yield task, departure(turns, random.Random(f"{task.id} {number}"))


def departure(turns: Calls, draw: random.Random) -> Calls:
    """Return ``turns`` with about one call in five dropped, doubled, changed, moved to another turn or renamed."""
    played: Calls = [[] for _ in turns]
    for index, calls in enumerate(turns):
        for call in calls:
            kind = draw.choices(("keep", "drop", "double", "change", "move", "unknown"), (80, 4, 4, 4, 4, 4))[0]
            place = draw.randrange(len(turns)) if kind == "move" else index
            if kind == "change":
                call = _changed(call, draw)
            elif kind == "unknown":
                call = replace(call, name=f"{call.name}_now")
            played[place] += [call] * {"drop": 0, "double": 2}.get(kind, 1)
    return played


def _changed(call: ToolCall, draw: random.Random) -> ToolCall:
    """Return the call with another value of one argument, or without an argument."""
    if not call.arguments:
        return call
    arguments = dict(call.arguments)
    name = draw.choice(sorted(arguments))
    value = arguments.pop(name)
    if isinstance(value, bool):
        arguments[name] = not value
    elif isinstance(value, int | float):
        arguments[name] = value + 1
    elif isinstance(value, str):
        arguments[name] = f"{value}x"
    return replace(call, arguments=arguments)


def verdicts(recorded: Iterable[tuple[Task, Calls]]) -> list[dict[str, Any]]:
    """Return the output of `tools/score.py` for the calls, each in a step of its own."""
    with tempfile.TemporaryDirectory() as folder:
        source, target = Path(folder, "calls.jsonl"), Path(folder, "verdicts.jsonl")
        decoded = (
            {"id": task.id, "decoded": [[[render_call(c)] for c in calls] for calls in turns]}
            for task, turns in recorded
        )
        source.write_text("".join(json.dumps(line) + "\n" for line in decoded))
        _run("tools/score.py", str(source), str(target))
        return [json.loads(line) for line in target.read_text().splitlines()]


def play(task: Task, turns: Calls) -> dict[str, Any]:
    """Return the record of an episode with hints in which every turn ends with an answer."""
    environment, augmentation = (
        instantiate(OmegaConf.load(f"conf/{name}.yaml")) for name in ("environment/bfcl", "augmentation/actionable")
    )
    episode = Episode(environment, task, parse, augmentation.for_episode(environment, task, 0), STEP_LIMIT)
    opening = [episode.reset().text]
    for calls in turns:
        for call in calls:
            episode.step(write_calls("I act.", [call]))
        opening.append(episode.step(write_answer("I am done.", "Done.")).text)
    return to_json(episode.finish()) | {"openings": opening}


def train(folder: Path) -> None:
    """Run three updates with ``folder`` as run folder."""
    _run("train.py", *RUN, f"hydra.run.dir={folder}")


def trajectories(folder: Path) -> Iterator[dict[str, Any]]:
    """Yield the episodes of the run, each with the name of its file."""
    for path in sorted((folder / "trajectories").rglob("*.jsonl")):
        for line in path.read_text().splitlines():
            yield json.loads(line) | {"file": str(path.relative_to(folder))}


def metrics(folder: Path) -> Iterator[dict[str, str]]:
    """Yield the rows of the run's metrics without `NOT_COMPARED`."""
    with (folder / "csv" / "metrics.csv").open(newline="") as file:
        for row in csv.DictReader(file):
            yield {name: value for name, value in row.items() if not name.startswith(NOT_COMPARED)}


def _run(*command: str) -> None:
    """Run a command of the checkout on one thread; raise RuntimeError with its output if it fails."""
    environment = os.environ | {"OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1", "CUDA_VISIBLE_DEVICES": ""}
    result = subprocess.run([sys.executable, *command], env=environment, capture_output=True, text=True, check=False)
    if result.returncode:
        raise RuntimeError(f"{command[0]} ended with status {result.returncode}:\n{result.stdout}{result.stderr}")


if __name__ == "__main__":
    run_program(main)
