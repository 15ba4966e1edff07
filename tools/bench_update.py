"""Times the update's forward and backward passes over groups that share a prompt, in three ways.

    python tools/bench_update.py                                     # 100M parameters, lengths that fit two cores
    python tools/bench_update.py --prompt 5120 --completion 1024 3072 --threads 2    # the lengths of a real run

- `padded`: rows padded on the right, as most trainers do it: every row repeats its prompt.
- `packed`: rows laid end to end without padding; every row still repeats its prompt.
- `shared`: envtune's update: packed, and the prompt of a group computed once.

Each way runs in a process of its own, in turn, `--rounds` times, with micro-batches of at most `--max-tokens` tokens as
each counts them, gradient checkpointing, and the same projection of hidden states to log-probs. Prints JSON: for each
way the tokens it computes, its least seconds and its peak memory beyond the model's; the ratios to `padded`; and the
greatest relative difference of a parameter's gradient from `padded`.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import random
import resource
import sys
import tempfile
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import envtune.process_start

import torch
from torch import Tensor
from transformers import Qwen2Config, Qwen2ForCausalLM

from envtune.grpo.batch import TrainBatch
from envtune.program import run_program
from envtune.task import Category
from envtune.training.model.policy import Policy
from envtune.training.model.projection import project
from envtune.trajectory import EpisodeEnd, TokenRecord, Trajectory

WAYS = ("padded", "packed", "shared")


@dataclass(frozen=True, slots=True)
class Settings:
    """The size of the work. ``completion`` bounds the uniformly drawn lengths of what follows the prompt."""

    hidden: int
    layers: int
    vocabulary: int
    tasks: int
    group_size: int
    prompt: int
    completion: tuple[int, int]
    max_tokens: int
    threads: int


def main() -> int:
    settings, rounds = _options()
    runs: dict[str, list[dict[str, Any]]] = {way: [] for way in WAYS}
    with tempfile.TemporaryDirectory() as folder:
        for number in range(rounds):
            for way in WAYS:
                print(f"round {number + 1} of {rounds}: {way}", file=sys.stderr)
                runs[way].append(in_a_process(way, settings, Path(folder)))
        differences = {way: gradient_difference(Path(folder), way) for way in WAYS[1:]}
    print(json.dumps(summary(settings, runs, differences), indent=2))
    return 0


def summary(settings: Settings, runs: dict[str, list[dict[str, Any]]], differences: dict[str, float]) -> dict[str, Any]:
    """The least seconds and peak of each way beside the ratios to padded rows."""
    best = {
        way: {
            "tokens_computed": rows[0]["tokens"],
            "seconds": round(min(row["seconds"] for row in rows), 2),
            "peak_mib": round(min(row["peak_mib"] for row in rows)),
        }
        for way, rows in runs.items()
    }
    padded = best["padded"]
    ratios = {
        way: {
            "times_faster": round(padded["seconds"] / best[way]["seconds"], 2),
            "times_less_memory": round(padded["peak_mib"] / best[way]["peak_mib"], 2),
            "gradient_difference": differences[way],
        }
        for way in WAYS[1:]
    }
    shape = {name: getattr(settings, name) for name in Settings.__slots__}
    return {"settings": shape | {"parameters": runs["padded"][0]["parameters"]}, "ways": best, "against_padded": ratios}


def in_a_process(way: str, settings: Settings, folder: Path) -> dict[str, Any]:
    """Runs one way alone, so that its peak memory is its own."""
    context = multiprocessing.get_context("spawn")
    with context.Pool(1) as pool:
        return pool.apply(measure, (way, settings, folder))


def measure(way: str, settings: Settings, folder: Path) -> dict[str, Any]:
    """Forward and backward over the whole batch; the gradients are left in ``folder``."""
    torch.set_num_threads(settings.threads)
    torch.manual_seed(0)
    model = _model(settings)
    batch = _batch(settings, shared=way == "shared")
    policy = None if way == "padded" else Policy(model)
    micro_batches = (
        _padded_micro_batches(batch, settings) if way == "padded" else batch.micro_batches(settings.max_tokens)
    )
    before, started, tokens = _resident_mib(), time.perf_counter(), 0
    for rows in micro_batches:
        micro = batch.select(rows)
        if policy is None:
            tokens += micro.ids.numel()
            logprobs, entropy = _padded(model, micro)
        else:
            tokens += micro.unique_tokens
            statistics = policy(micro)
            logprobs, entropy = (t[micro.completion_mask] for t in (statistics.logprobs, statistics.entropy))
        (logprobs + 0.1 * entropy).sum().backward()
    seconds = time.perf_counter() - started
    torch.save({name: parameter.grad for name, parameter in model.named_parameters()}, folder / f"{way}.pt")
    parameters = sum(parameter.numel() for parameter in model.parameters())
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024 - before
    return {"tokens": tokens, "seconds": seconds, "peak_mib": peak, "parameters": parameters}


def gradient_difference(folder: Path, way: str) -> float:
    """The greatest norm of a parameter's difference from padded rows, over the norm of its gradient."""
    ours, theirs = (torch.load(folder / f"{name}.pt", weights_only=True) for name in (way, "padded"))
    return max(float((ours[name] - theirs[name]).norm() / theirs[name].norm()) for name in theirs)


def _model(settings: Settings) -> Qwen2ForCausalLM:
    heads = max(1, settings.hidden // 64)
    config = Qwen2Config(
        vocab_size=settings.vocabulary,
        hidden_size=settings.hidden,
        intermediate_size=settings.hidden * 8 // 3 // 16 * 16,
        num_hidden_layers=settings.layers,
        num_attention_heads=heads,
        num_key_value_heads=max(1, heads // 4) if heads % 4 == 0 else heads,
        max_position_embeddings=32768,
        tie_word_embeddings=True,
    )
    model = Qwen2ForCausalLM(config)
    model.gradient_checkpointing_enable()
    return model.train()


def _batch(settings: Settings, shared: bool) -> TrainBatch:
    """Groups of random ids. Not ``shared``: every row counts as having a prompt of its own."""
    draw = random.Random(0)
    trajectories = []
    for _ in range(settings.tasks):
        prompt = [draw.randrange(settings.vocabulary) for _ in range(settings.prompt)]
        for _ in range(settings.group_size):
            after = [draw.randrange(settings.vocabulary) for _ in range(draw.randint(*settings.completion))]
            ids = (*prompt, *after)
            mask = (False,) * len(prompt) + (True,) * len(after)
            tokens = TokenRecord(ids, mask, (0.0,) * len(ids), len(prompt))
            trajectories.append(Trajectory("bench", Category.BASE, 1, (), EpisodeEnd.TERMINATED, tokens=tokens))
    rewards = torch.zeros(settings.tasks, settings.group_size)
    batch = TrainBatch.from_trajectories(trajectories, rewards, pad_id=0, temperature=1.0)
    return batch if shared else replace(batch, prompts=torch.arange(len(batch)))


def _padded_micro_batches(batch: TrainBatch, settings: Settings) -> list[Tensor]:
    """Rows from the longest down, as many as fit ``max_tokens`` with their padding."""
    groups: list[list[int]] = []
    for row in batch.lengths.argsort(descending=True).tolist():
        if groups and (len(groups[-1]) + 1) * int(batch.lengths[groups[-1][0]]) <= settings.max_tokens:
            groups[-1].append(row)
        else:
            groups.append([row])
    return [torch.tensor(group) for group in groups]


def _padded(model: Qwen2ForCausalLM, micro: TrainBatch) -> tuple[Tensor, Tensor]:
    hidden = model.model(input_ids=micro.ids, attention_mask=micro.attention_mask.long(), use_cache=False)
    states = hidden.last_hidden_state[:, :-1][micro.completion_mask[:, 1:]]
    return project(model.lm_head, states, micro.ids[micro.completion_mask], micro.temperature)


def _resident_mib() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def _options() -> tuple[Settings, int]:
    parser = argparse.ArgumentParser(description="Times the update with padded, packed and shared prompts.")
    parser.add_argument("--hidden", type=int, default=768)
    parser.add_argument("--layers", type=int, default=12)
    parser.add_argument("--vocabulary", type=int, default=32000)
    parser.add_argument("--tasks", type=int, default=1, help="groups, each with a prompt of its own")
    parser.add_argument("--group-size", type=int, default=16)
    parser.add_argument("--prompt", type=int, default=640, help="tokens of the prompt")
    parser.add_argument("--completion", type=int, nargs=2, default=(128, 384), metavar=("MIN", "MAX"))
    parser.add_argument("--max-tokens", type=int, default=8192, help="tokens of a micro-batch")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=2)
    values = vars(parser.parse_args())
    rounds = values.pop("rounds")
    return Settings(**values | {"completion": tuple(values["completion"])}), rounds


if __name__ == "__main__":
    run_program(main)
