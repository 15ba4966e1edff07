"""Compare rollouts with a loop that calls `model.generate` for every step, on the same episodes, tokens and tools.

    python -m tools.bench.rollout                                  # the embedded model, 2 tasks x 8 episodes
    python -m tools.bench.rollout --tasks 8 --group 8 --rounds 1
    python -m tools.bench.rollout --model path/to/model --device cuda --dtype bfloat16 --max-prompt 8192

The other side is a loop on transformers alone: all running episodes take a step together, their whole conversations
padded on the left, and then all tools run. A logits processor makes it sample the tokens of envtune's first round, so
that both sides play the same episodes, and the trajectories must be equal. Rounds alternate; the speedup is the ratio
of the times within a round.

Prints JSON. Of each side, medians over the rounds: seconds of the whole rollout, its tools included; sampled tokens per
second; `fed_per_distinct_token`, tokens that went through the model, padding included, per distinct token of the
trajectories (a prompt that several episodes share counts once); `idle_row_steps`, the share of rows of decoding steps
from which no token was kept. `environment_seconds` is the time of the tools, `overlapped_seconds` the part of it during
which other episodes were sampled.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import envtune.process_start

import torch
from torch.nn.utils.rnn import pad_sequence
from transformers import AutoModelForCausalLM, LogitsProcessor, PreTrainedModel
from typing_extensions import override

from envtune.bfcl.benchmark import BFCL
from envtune.bfcl.category import CATEGORIES
from envtune.bfcl.environment import BFCL_ENVIRONMENT
from envtune.chat.template import Template
from envtune.chat.tokenizer import load_tokenizer
from envtune.environment.augmentation.actionable import Actionable
from envtune.program import run_program
from envtune.rollout.collector import Collector, EpisodeRequest
from envtune.rollout.generator import Advance, Completion, Generator, Request
from envtune.rollout.hf.hf_generator import HFGenerator
from envtune.task import Split, Task
from envtune.trajectory import Trajectory
from tools.bench.measuring import alternate, command_line, medians, print_figures, timed
from tools.bench.peer.work import MODEL, STYLE

GOALS = {"fed_per_distinct_token": "<= 1.1", "speedup": ">= 3", "idle_row_steps": 0}


@contextmanager
def counted_passes(model: PreTrainedModel) -> Iterator[Counter[str]]:
    """Count, within the context, the tokens ``fed`` to a model, padding included, and the ``rows`` of its logits."""
    counts: Counter[str] = Counter()

    def count(_: Any, args: Any, kwargs: dict[str, Any], output: Any) -> None:
        counts["fed"] += kwargs["input_ids"].numel()
        counts["rows"] += output.logits.shape[:-1].numel()

    hook = model.register_forward_hook(count, with_kwargs=True)
    try:
        yield counts
    finally:
        hook.remove()


class RecordedGenerator(HFGenerator):
    """The embedded generator, with the ``completions`` that it sampled by the seeds of their requests."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        self.completions: dict[int, Completion] = {}

    @override
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
    """Allow one token per row at each step: ``tokens`` [row, step], then ``end``."""

    def __init__(self, tokens: Sequence[Sequence[int]], end: int, device: torch.device) -> None:
        rows = [torch.tensor(row, device=device) for row in tokens]
        self._tokens = pad_sequence(rows, batch_first=True, padding_value=end)
        self._step = 0

    @override
    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        column = self._tokens[:, self._step, None]
        self._step += 1
        return scores.fill_(float("-inf")).scatter_(1, column, 0.0)


class PlainGenerator(Generator):
    """A generator that calls ``model.generate`` once per step of all episodes and samples ``completions`` again."""

    def __init__(self, model: PreTrainedModel, completions: dict[int, Completion], pad: int, batch_size: int) -> None:
        self.temperature, self.policy_version, self.fed_tokens, self.waiting_seconds = 1.0, 0, 0, 0.0
        self._model: Any = model
        self._completions, self._pad, self._batch_size = completions, pad, batch_size

    @override
    def update_weights(self, model: PreTrainedModel, policy_version: int) -> None:
        self._model, self.policy_version = model, policy_version

    @override
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
        known = [self._completions[request.seed] for request in requests]
        prompts = [torch.tensor(request.ids, device=self._model.device) for request in requests]
        ids = pad_sequence(prompts, batch_first=True, padding_value=self._pad, padding_side="left")
        mask = pad_sequence([torch.ones_like(row) for row in prompts], batch_first=True, padding_side="left")
        end = requests[0].end_ids[0]
        out = self._model.generate(
            input_ids=ids,
            attention_mask=mask,
            do_sample=True,
            temperature=1.0,
            top_k=0,
            top_p=1.0,
            max_new_tokens=max(request.max_new_tokens for request in requests),
            eos_token_id=list(requests[0].end_ids),
            pad_token_id=self._pad,
            logits_processor=[OnlyThese([c.ids for c in known], end, self._model.device)],
        )
        rows = out[:, ids.shape[1] :].tolist()
        return [Completion(tuple(row[: len(c.ids)]), c.logprobs, c.ended) for row, c in zip(rows, known, strict=True)]


def main() -> int:
    """Print the figures and return 1 if the two sides did not play the same episodes, else 0."""
    options = _options()
    tokenizer = load_tokenizer(options.model)
    model: Any = AutoModelForCausalLM.from_pretrained(options.model, dtype=getattr(torch, options.dtype))
    model = model.to(options.device).eval()
    ours = RecordedGenerator(max_batch_size=options.batch_size)
    ours.update_weights(model, 0)
    plain = PlainGenerator(model, ours.completions, tokenizer.pad_token_id or 0, options.batch_size)
    template = Template(tokenizer, STYLE, options.max_observation)
    limits = (5, options.max_prompt, options.max_response, options.max_tokens, options.max_episodes)
    generators: dict[str, Generator] = {"envtune": ours, "generate": plain}
    sides = {
        side: Collector(generator, template, BFCL_ENVIRONMENT, Actionable(), *limits)
        for side, generator in generators.items()
    }
    # Whether a prompt fits is decided before the limit of observations shortens its message.
    requests = _requests(options, Template(tokenizer, STYLE))
    rounds = alternate(sides, options.rounds, lambda side: measure(sides[side], model, requests))
    played = [trajectories for measured in rounds.values() for _, trajectories in measured]
    same = all(trajectories == played[0] for trajectories in played)
    lengths = [len(trajectory.tokens.ids) for trajectory in played[0] if trajectory.tokens]
    figures = {side: [figures for figures, _ in measured] for side, measured in rounds.items()}
    speedups = [b["seconds"] / a["seconds"] for a, b in zip(*figures.values(), strict=True)]
    each_round = [round(speedup, 2) for speedup in speedups]
    print_figures(
        {
            "settings": vars(options) | {"threads": torch.get_num_threads(), "torch": torch.__version__},
            "episodes": {
                "played": len(played[0]),
                "steps": sum(len(trajectory.steps) for trajectory in played[0]),
                "tokens": {"mean": round(statistics.mean(lengths)), "longest": max(lengths)},
                "same_on_both_sides": same,
            },
            "goals": GOALS,
            **{side: medians(measured) for side, measured in figures.items()},
            "speedup": {"median": round(statistics.median(speedups), 2), "of_each_round": each_round},
        }
    )
    return 0 if same else 1


def measure(
    collector: Collector, model: PreTrainedModel, requests: Sequence[EpisodeRequest]
) -> tuple[dict[str, float], list[Trajectory]]:
    """Play the episodes once and return the figures and the trajectories."""
    generator: Any = collector.generator
    environment, waiting = collector.environment_seconds, generator.waiting_seconds
    with counted_passes(model) as passes:
        trajectories, seconds = timed(lambda: collector.play(requests), model.device.type)
    environment = collector.environment_seconds - environment
    records = [trajectory.tokens for trajectory in trajectories if trajectory.tokens]
    sampled = sum(sum(record.completion_mask) for record in records)
    prompts = {record.ids[: record.prompt_length] for record in records}
    distinct = sum(len(record.ids) - record.prompt_length for record in records) + sum(map(len, prompts))
    # The embedded generator samples the first token of all episodes with an equal prompt from one row of logits.
    kept = sampled if isinstance(generator, PlainGenerator) else sampled - len(records) + len(prompts)
    measured = {
        "seconds": seconds,
        "tokens_per_second": sampled / seconds,
        "fed_per_distinct_token": passes["fed"] / distinct,
        "idle_row_steps": 1 - kept / passes["rows"],
        "environment_seconds": environment,
        "overlapped_seconds": environment - (generator.waiting_seconds - waiting),
    }
    print(json.dumps(measured), file=sys.stderr, flush=True)
    return measured, trajectories


def _requests(options: argparse.Namespace, template: Template) -> list[EpisodeRequest]:
    """Requests for groups of episodes of training tasks, spread over the categories, whose prompts fit."""

    def fits(task: Task) -> bool:
        return len(template.open(task.turns[0].message, task.tools_offered_at(0))) <= options.max_prompt

    tasks = [task for task in BFCL(list(CATEGORIES), val_size=1).tasks(Split.TRAIN) if fits(task)]
    chosen = tasks[:: max(1, len(tasks) // options.tasks)][: options.tasks]
    episodes = (task for task in chosen for _ in range(options.group))
    return [EpisodeRequest(task, options.seed + number) for number, task in enumerate(episodes)]


def _options() -> argparse.Namespace:
    parser = command_line(
        __doc__,
        tasks=2,
        group=(8, "episodes of each task"),
        rounds=(3, "how often both sides play"),
        max_tokens=(160, "tokens of one completion"),
        max_prompt=(2560, "tokens of the prompt"),
        max_response=(2048, "tokens after the prompt"),
        max_observation=(256, "tokens of an observation"),
        max_episodes=(64, "episodes in flight"),
        batch_size=(64, "sequences sampled together"),
        seed=0,
    )
    parser.add_argument("--model", default=MODEL, help="a folder with a causal model and its tokenizer")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--dtype", default="float32")
    return parser.parse_args()


if __name__ == "__main__":
    run_program(main)
