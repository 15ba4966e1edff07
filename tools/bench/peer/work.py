"""The work that envtune and another trainer both receive: settings, tasks, prompts; and the report of a side."""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import torch

import envtune
from envtune.bfcl.benchmark import BFCL
from envtune.chat.prompt import PromptStyle
from envtune.chat.template import Template
from envtune.chat.tokenizer import load_tokenizer
from envtune.task import Split, Task
from envtune.training.reporting.library_logging import silence_libraries
from tools.bench.measuring import at_least, command_line

MODEL = str(Path(envtune.__file__).parent / "models" / "tiny")
STYLE = PromptStyle("compact", "long")


@dataclass(frozen=True, slots=True)
class Work:
    """Settings of both sides; the other numbers of the update are the defaults of `GRPOSettings`.

    An episode is the first user turn of a task. Lengths are in tokens.
    """

    tasks: int = 2
    group_size: int = 8
    updates: int = 4
    """Updates that count, after a first one that warms up."""
    learning_rate: float = 5e-5
    step_limit: int = 4
    """Steps of an episode before its last one."""
    max_completion_tokens: int = 160
    max_response_tokens: int = 1024
    """Longest sum of completions and observations of an episode."""
    plain_tokens: int = 0
    """If positive: no tools, one completion of exactly this length, and a reward computed from its text."""
    threads: int = 2
    seed: int = 0

    @property
    def arguments(self) -> list[str]:
        """The command-line arguments from which `work_parser` reads this work."""
        return [f"--{name.replace('_', '-')}={getattr(self, name)}" for name in vars(work_parser(None).parse_args([]))]


@dataclass(frozen=True, slots=True)
class Update:
    """Times and tokens of one update of a side."""

    seconds: float
    """Seconds by the clock since the end of the update before."""
    rollout_seconds: float
    tokens: int
    """Tokens of all episodes, prompts included."""
    sampled: int
    """Tokens that the policy sampled."""


@dataclass(frozen=True, slots=True)
class Report:
    """Output of a side: its updates, the first one included, and a digest of the ids of all prompts."""

    updates: tuple[Update, ...]
    prompts: str

    def print(self) -> None:
        """Print the report as one line of JSON."""
        print(json.dumps(asdict(self)))

    @classmethod
    def read(cls, line: str) -> Report:
        """Return the report that ``print`` wrote."""
        record = json.loads(line)
        return cls(tuple(Update(**update) for update in record["updates"]), record["prompts"])


def work_parser(description: str | None) -> argparse.ArgumentParser:
    """Return a parser of the fields of `Work` that can be chosen."""
    parser = command_line(
        description,
        updates=(4, "updates of a process that count, after a first one"),
        tasks=(2, "prompts of an update"),
        plain_tokens=(0, "no tools: one completion of so many tokens each"),
        threads=2,
    )
    # The advantages of a group of one are zero.
    parser.add_argument("--group-size", type=at_least(2), default=8, help="episodes of each prompt")
    return parser


def start(description: str | None) -> tuple[Work, tuple[Task, ...]]:
    """Read the command line of a side, set its threads, silence its libraries and return its work and its tasks."""
    work = Work(**vars(work_parser(description).parse_args()))
    torch.set_num_threads(work.threads)
    silence_libraries()
    return work, first_turns(work)


def first_turns(work: Work) -> tuple[Task, ...]:
    """Return tasks of one user message: the first turns of base tasks of the training split that call a tool."""
    tasks = BFCL(["base"]).tasks(Split.TRAIN)
    chosen = [task for task in tasks if task.turns[0].ground_truth][:: max(1, len(tasks) // work.tasks)][: work.tasks]
    if len(chosen) < work.tasks:
        sys.exit(f"error: there are fewer than {work.tasks} tasks: lower --tasks")
    return tuple(replace(task, id=f"{task.id}_first", turns=(replace(task.turns[0], new_tools=()),)) for task in chosen)


def tiny_template(kind: type[Template] = Template) -> Template:
    """Return the chat template of the embedded model."""
    return kind(load_tokenizer(MODEL), STYLE)


def digest(prompts: Sequence[Sequence[int]]) -> str:
    """Return 16 hexadecimal digits that depend on the ids of all prompts alone."""
    return hashlib.sha256(json.dumps([list(map(int, ids)) for ids in prompts]).encode()).hexdigest()[:16]


def text_reward(text: str) -> float:
    """Return the share of letters in ``text``, in [0, 1]: the reward without tools.

    It is cheap, and it differs within a group.
    """
    return sum(character.isalpha() for character in text) / max(1, len(text))
