"""Compares rollouts with a loop that calls `model.generate` for every step: the same episodes, tokens and tools.

    python tools/bench_rollout.py                                  # the embedded model, 2 tasks x 8 episodes
    python tools/bench_rollout.py --tasks 8 --group 8 --rounds 1
    python tools/bench_rollout.py --model path/to/model --device cuda --dtype bfloat16 --max-prompt 8192

The other side is what one writes with transformers alone: all running episodes take a step together, their whole
conversations padded on the left, and then all tools run. It is made to sample the tokens that the first round of ours
did (by a logits processor that allows no other), so both sides play the same episodes, and the trajectories must turn
out equal. Rounds alternate, and the ratio of the times within a round counts.

Prints JSON. Of each side, medians over the rounds: seconds of the whole rollout, its tools included; sampled tokens per
second; `fed_per_distinct_token`, tokens that went through the model, padding included, per distinct token of the
trajectories (a prompt that several episodes begin with counts once); `idle_row_steps`, the share of rows of decoding
steps from which no token was kept. `environment_seconds` is the time of the tools, `overlapped_seconds` the part of it
during which others were sampled.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import envtune.process_start

import torch
from transformers import AutoModelForCausalLM, LogitsProcessor, PreTrainedModel

import envtune
from envtune.chat.prompt import PromptStyle
from envtune.chat.template import Template
from envtune.chat.tokenizer import load_tokenizer
from envtune.data.bfcl import BFCL, CATEGORIES
from envtune.environment.augmentation.actionable import Actionable
from envtune.program import run_program
from envtune.rollout.collector import Collector, EpisodeRequest
from envtune.rollout.generator import Advance, Completion, Generator, Request
from envtune.rollout.hf.hf_generator import HFGenerator
from envtune.task import Split, Task
from envtune.trajectory import TokenRecord, Trajectory

TINY = Path(envtune.__file__).parent / "models" / "tiny"
STYLE = PromptStyle("compact", "long")
GOALS = {"fed_per_distinct_token": "<= 1.1", "speedup": ">= 3", "idle_row_steps": 0}


@dataclass(frozen=True, slots=True)
class Measured:
    """One rollout of one side; the fields are explained at the top of the file."""

    seconds: float
    tokens_per_second: float
    fed_per_distinct_token: float
    idle_row_steps: float
    environment_seconds: float
    overlapped_seconds: float


class Passes:
    """Counts what goes through a model: ``fed`` tokens, padding included, and ``rows`` that give a next token."""

    def __init__(self) -> None:
        self.fed = self.rows = 0

    @contextmanager
    def of(self, model: PreTrainedModel) -> Iterator[Passes]:
        hook = model.register_forward_hook(self._count, with_kwargs=True)
        try:
            yield self
        finally:
            hook.remove()

    def _count(self, _: Any, args: Any, kwargs: dict[str, Any], output: Any) -> None:
        self.fed += kwargs["input_ids"].numel()
        self.rows += output.logits.shape[:-1].numel()


class RecordedGenerator(HFGenerator):
    """Keeps its ``completions`` by the seeds of their requests."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        self.completions: dict[int, Completion] = {}

    def run(self, first: Sequence[Request], advance: Advance, greedy: bool = False) -> None:
        running = dict(enumerate(first))

        def keep(number: int, completion: Completion) -> Request | None:
            self.completions[running[number].seed] = completion
            following = advance(number, completion)
            if following:
                running[number] = following
            return following

        super().run(first, keep, greedy)


class OnlyThese(LogitsProcessor):
    """Allows one token at each step: ``tokens`` [row, step], after which a row gets ``end``."""

    def __init__(self, tokens: Sequence[Sequence[int]], end: int, device: torch.device) -> None:
        length = max(map(len, tokens))
        self._tokens = torch.tensor([[*row, *[end] * (length - len(row))] for row in tokens], device=device)
        self._step = 0

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        column = self._tokens[:, self._step, None]
        self._step += 1
        return scores.fill_(float("-inf")).scatter_(1, column, 0.0)


class PlainGenerator:
    """A step of all episodes is one call of ``model.generate``; the tokens are those of ``completions``."""

    def __init__(self, model: PreTrainedModel, completions: dict[int, Completion], pad: int, batch_size: int) -> None:
        self.temperature, self.policy_version, self.fed_tokens, self.waiting_seconds = 1.0, 0, 0, 0.0
        self._model: Any = model
        self._completions, self._pad, self._batch_size = completions, pad, batch_size

    def update_weights(self, model: PreTrainedModel, policy_version: int) -> None:
        self._model, self.policy_version = model, policy_version

    def run(self, first: Sequence[Request], advance: Advance, greedy: bool = False) -> None:
        running = dict(enumerate(first))
        while running:
            numbers = list(running)
            completions: list[Completion] = []
            for start in range(0, len(numbers), self._batch_size):
                completions += self._step([running[number] for number in numbers[start : start + self._batch_size]])
            started = time.perf_counter()
            following = {n: advance(n, completion) for n, completion in zip(numbers, completions, strict=True)}
            self.waiting_seconds += time.perf_counter() - started
            running = {number: request for number, request in following.items() if request}

    @torch.no_grad()
    def _step(self, requests: Sequence[Request]) -> list[Completion]:
        expected = [self._completions[request.seed] for request in requests]
        longest = max(len(request.ids) for request in requests)
        padding = [longest - len(request.ids) for request in requests]
        ids = torch.tensor([[self._pad] * n + list(r.ids) for n, r in zip(padding, requests, strict=True)])
        mask = torch.tensor([[0] * n + [1] * (longest - n) for n in padding])
        end = requests[0].end_ids[0]
        out = self._model.generate(
            input_ids=ids.to(self._model.device),
            attention_mask=mask.to(self._model.device),
            do_sample=True,
            temperature=1.0,
            top_k=0,
            top_p=1.0,
            max_new_tokens=max(request.max_new_tokens for request in requests),
            eos_token_id=list(requests[0].end_ids),
            pad_token_id=self._pad,
            logits_processor=[OnlyThese([c.ids for c in expected], end, self._model.device)],
        )
        sampled = out[:, longest:].tolist()
        return [
            Completion(tuple(row[: len(c.ids)]), c.logprobs, c.ended) for row, c in zip(sampled, expected, strict=True)
        ]


def main() -> int:
    """Prints the figures; 1 if the two sides did not play the same episodes."""
    options = _options()
    tokenizer = load_tokenizer(options.model)
    model: Any = AutoModelForCausalLM.from_pretrained(options.model, dtype=getattr(torch, options.dtype))
    model = model.to(options.device).eval()
    ours = RecordedGenerator(max_batch_size=options.batch_size)
    ours.update_weights(model, 0)
    plain = PlainGenerator(model, ours.completions, tokenizer.pad_token_id or 0, options.batch_size)
    sides = {"envtune": _collector(options, tokenizer, ours), "generate": _collector(options, tokenizer, plain)}
    requests = _requests(options, Template(tokenizer, STYLE))
    rounds: dict[str, list[Measured]] = {name: [] for name in sides}
    played: list[list[Trajectory]] = []
    for _ in range(options.rounds):
        for name, collector in sides.items():
            measured, trajectories = measure(collector, model, requests)
            rounds[name].append(measured)
            played.append(trajectories)
            print(name, json.dumps(asdict(measured)), file=sys.stderr, flush=True)
    same = all(trajectories == played[0] for trajectories in played)
    print(json.dumps(_figures(options, rounds, played[0], same), indent=2))
    return 0 if same else 1


def measure(
    collector: Collector, model: PreTrainedModel, requests: Sequence[EpisodeRequest]
) -> tuple[Measured, list[Trajectory]]:
    """Plays the episodes once."""
    generator: Any = collector.generator
    environment, waiting = collector.environment_seconds, generator.waiting_seconds
    with Passes().of(model) as passes:
        started = time.perf_counter()
        trajectories = collector.play(requests)
        seconds = time.perf_counter() - started
    environment = collector.environment_seconds - environment
    records = [trajectory.tokens for trajectory in trajectories if trajectory.tokens]
    sampled = sum(sum(record.completion_mask) for record in records)
    # Ours takes the first token of all episodes with the same prompt from one pass over it.
    kept = sampled if isinstance(generator, PlainGenerator) else sampled - len(records) + len(prompts_of(records))
    measured = Measured(
        seconds=seconds,
        tokens_per_second=sampled / seconds,
        fed_per_distinct_token=passes.fed / distinct_tokens(records),
        idle_row_steps=1 - kept / passes.rows,
        environment_seconds=environment,
        overlapped_seconds=environment - (generator.waiting_seconds - waiting),
    )
    return measured, trajectories


def prompts_of(records: Sequence[TokenRecord]) -> set[tuple[int, ...]]:
    return {record.ids[: record.prompt_length] for record in records}


def distinct_tokens(records: Sequence[TokenRecord]) -> int:
    """Tokens of the episodes; those with the same prompt share it."""
    behind = sum(len(record.ids) - record.prompt_length for record in records)
    return behind + sum(map(len, prompts_of(records)))


def _figures(
    options: argparse.Namespace, rounds: dict[str, list[Measured]], played: Sequence[Trajectory], same: bool
) -> dict[str, Any]:
    pairs = list(zip(rounds["envtune"], rounds["generate"], strict=True))
    lengths = [len(trajectory.tokens.ids) for trajectory in played if trajectory.tokens]
    return {
        "settings": vars(options) | {"threads": torch.get_num_threads(), "torch": torch.__version__},
        "episodes": {
            "played": len(played),
            "steps": sum(len(trajectory.steps) for trajectory in played),
            "tokens": {"mean": round(statistics.mean(lengths)), "longest": max(lengths)},
            "same_on_both_sides": same,
        },
        "goals": GOALS,
        **{name: _medians(measured) for name, measured in rounds.items()},
        "speedup": {
            "median": round(statistics.median(b.seconds / a.seconds for a, b in pairs), 2),
            "of_each_round": [round(b.seconds / a.seconds, 2) for a, b in pairs],
        },
    }


def _medians(measured: Sequence[Measured]) -> dict[str, float]:
    rows = [asdict(m) for m in measured]
    return {name: round(statistics.median(row[name] for row in rows), 4) for name in rows[0]}


def _collector(options: argparse.Namespace, tokenizer: Any, generator: Generator) -> Collector:
    template = Template(tokenizer, STYLE, options.max_observation)
    limits = (5, options.max_prompt, options.max_response, options.max_tokens, options.max_episodes)
    return Collector(generator, template, Actionable(), *limits)


def _requests(options: argparse.Namespace, template: Template) -> list[EpisodeRequest]:
    """Groups of episodes of training tasks, spread over the categories, whose prompts fit."""

    def fits(task: Task) -> bool:
        return len(template.open(task.turns[0].message, task.tools_offered_at(0))) <= options.max_prompt

    tasks = [task for task in BFCL(list(CATEGORIES), val_size=0).tasks(Split.TRAIN) if fits(task)]
    chosen = tasks[:: max(1, len(tasks) // options.tasks)][: options.tasks]
    return [
        EpisodeRequest(task, options.seed + i * options.group + j)
        for i, task in enumerate(chosen)
        for j in range(options.group)
    ]


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default=str(TINY), help="a folder with a causal model and its tokenizer")
    parser.add_argument("--tasks", type=int, default=2)
    parser.add_argument("--group", type=int, default=8, help="episodes of each task")
    parser.add_argument("--rounds", type=int, default=3, help="how often both sides play")
    parser.add_argument("--max-tokens", type=int, default=160, help="of one completion")
    parser.add_argument("--max-prompt", type=int, default=2560)
    parser.add_argument("--max-response", type=int, default=2048, help="tokens behind the prompt")
    parser.add_argument("--max-observation", type=int, default=256)
    parser.add_argument("--max-episodes", type=int, default=64, help="episodes in flight")
    parser.add_argument("--batch-size", type=int, default=64, help="sequences sampled together")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--dtype", default="float32")
    return parser.parse_args()


if __name__ == "__main__":
    run_program(main)
