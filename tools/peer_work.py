"""The work that envtune and another trainer are both given: settings, tasks, prompts, and what a side reports."""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import torch

import envtune
from envtune.chat.prompt import PromptStyle
from envtune.chat.template import Template
from envtune.chat.tokenizer import load_tokenizer
from envtune.data.bfcl import BFCL
from envtune.task import Split, Task, UserTurn
from envtune.training.reporting.library_logging import silence_libraries

MODEL = str(Path(envtune.__file__).parent / "models" / "tiny")
STYLE = PromptStyle("compact", "long")


@dataclass(frozen=True, slots=True)
class Work:
    """The same for both sides; the other numbers of the update are `GRPOSettings`' defaults.

    An episode is the first user turn of a task: at most ``step_limit`` completions of at most ``max_completion_tokens``
    each, and at most ``max_response_tokens`` after the prompt, results of tools included. With ``plain_tokens`` there
    are no tools: one completion of exactly so many tokens, and a reward that is a function of its text.
    """

    tasks: int = 2
    group_size: int = 8
    updates: int = 4
    learning_rate: float = 5e-5
    step_limit: int = 5
    max_completion_tokens: int = 160
    max_response_tokens: int = 1024
    plain_tokens: int = 0
    threads: int = 2
    seed: int = 0

    @property
    def rows(self) -> int:
        """Episodes of an update."""
        return self.tasks * self.group_size


@dataclass(frozen=True, slots=True)
class Update:
    """One update of a side: wall seconds since the end of the one before, those of its rollout, and its tokens.

    ``tokens`` are those of all episodes, prompts included; ``sampled`` those of the policy.
    """

    seconds: float
    rollout_seconds: float
    tokens: int
    sampled: int


@dataclass(frozen=True, slots=True)
class Report:
    """What a side prints: its updates, the first one included, and a digest of the ids of all prompts."""

    updates: tuple[Update, ...]
    prompts: str

    def print(self) -> None:
        print(json.dumps(asdict(self)))

    @classmethod
    def read(cls, line: str) -> Report:
        record = json.loads(line)
        return cls(tuple(Update(**update) for update in record["updates"]), record["prompts"])


def work_of_command_line() -> Work:
    """A side's program gets its work as one argument of JSON."""
    return Work(**json.loads(sys.argv[1]))


def first_turns(work: Work) -> tuple[Task, ...]:
    """Tasks of one user message: the first turns of base tasks of the training split that call a tool."""
    tasks = BFCL(["base"]).tasks(Split.TRAIN)
    chosen = [task for task in tasks if task.turns[0].ground_truth][:: max(1, len(tasks) // work.tasks)][: work.tasks]
    if len(chosen) < work.tasks:
        sys.exit(f"error: there are fewer than {work.tasks} tasks: lower --tasks")
    return tuple(replace(task, id=f"{task.id}_first", turns=(_alone(task.turns[0]),)) for task in chosen)


def system_prompt(task: Task) -> str:
    return STYLE.system_prompt(task.tools_offered_at(0))


def template() -> Template:
    return Template(load_tokenizer(MODEL), STYLE)


def digest(prompts: Sequence[Sequence[int]]) -> str:
    """The same for the same ids."""
    return hashlib.sha256(json.dumps([list(map(int, ids)) for ids in prompts]).encode()).hexdigest()[:16]


def text_reward(text: str) -> float:
    """Without tools: the share of characters that are letters. Cheap, and different within a group."""
    return sum(character.isalpha() for character in text) / max(1, len(text))


def start(work: Work) -> None:
    """Threads and silence, before a side does anything else."""
    torch.set_num_threads(work.threads)
    silence_libraries()


def _alone(turn: UserTurn) -> UserTurn:
    return replace(turn, new_tools=())
