"""Time the update's forward and backward passes over groups that share a prompt, in three ways.

    python -m tools.bench.update                                     # 100M parameters, lengths that fit two cores
    python -m tools.bench.update --prompt 5120 --completion 1024 3072 --threads 2    # the lengths of a real run

- `padded`: rows padded on the right, as in most trainers: every row repeats its prompt.
- `packed`: rows concatenated without padding; every row still repeats its prompt.
- `shared`: envtune's update: packed, and the prompt of a group computed once.

Each way runs in a process of its own, in turn, `--rounds` times, with gradient checkpointing, the same projection of
hidden states to log-probs, and micro-batches of at most `--max-tokens` tokens, which each way counts as it computes
them. Prints JSON: for each way its computed tokens, its least seconds and its peak memory beyond the model's; the
ratios to `padded`; and the greatest relative difference of a parameter's gradient from `padded`.
"""

from __future__ import annotations

import argparse
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import envtune.process_start

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from envtune.grpo.batch import TrainBatch
from envtune.program import run_program
from envtune.training.model.policy import Policy
from envtune.training.model.projection import project
from tools.bench.measuring import alternate, command_line, in_a_process, peak_memory, print_figures, timed
from tools.bench.random_update import BatchSize, Shape, random_model, random_rollout

WAYS = ("padded", "packed", "shared")


def main() -> None:
    """Print the figures of the three ways."""
    parser = command_line(
        __doc__,
        hidden=768,
        layers=12,
        vocabulary=32000,
        tasks=(1, "groups, each with a prompt of its own"),
        group_size=16,
        prompt=(640, "tokens of the prompt"),
        max_tokens=(8192, "tokens of a micro-batch"),
        threads=2,
        rounds=2,
    )
    parser.add_argument("--completion", type=int, nargs=2, default=(128, 384), metavar=("MIN", "MAX"))
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder)
        runs = alternate(WAYS, options.rounds, lambda way: in_a_process(measure, way, options, path))
        differences = {way: gradient_difference(path, way) for way in WAYS[1:]}
    print_figures(summary(options, runs, differences))


def summary(
    options: argparse.Namespace, runs: dict[str, list[dict[str, Any]]], differences: dict[str, float]
) -> dict[str, Any]:
    """Return the least seconds and peak memory of each way, and the ratios to padded rows."""
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
    settings = {name: value for name, value in vars(options).items() if name != "rounds"}
    settings["parameters"] = runs["padded"][0]["parameters"]
    return {"settings": settings, "ways": best, "against_padded": ratios}


def measure(way: str, options: argparse.Namespace, folder: Path) -> dict[str, Any]:
    """Run one forward and backward pass over the whole batch and write the gradients to ``folder``."""
    torch.set_num_threads(options.threads)
    heads = max(1, options.hidden // 64)
    key_heads = max(1, heads // 4) if heads % 4 == 0 else heads
    intermediate = options.hidden * 8 // 3 // 16 * 16
    shape = Shape(options.hidden, intermediate, options.layers, heads, key_heads, options.vocabulary)
    model: Any = random_model(shape, "cpu", checkpointing=True).train()
    size = BatchSize(options.tasks, options.group_size, options.prompt, options.completion)
    batch = random_rollout(size, options.vocabulary).tensors
    if way != "shared":
        # Every row gets a prompt number of its own, so that none is shared.
        batch = replace(batch, prompts=torch.arange(len(batch)))
    policy = None if way == "padded" else Policy(model)

    def run() -> int:
        tokens = 0
        for rows in batch.micro_batches(options.max_tokens) if policy else padded_rows(batch, options.max_tokens):
            micro = batch.select(rows)
            if policy:
                tokens += micro.unique_tokens
                statistics = policy(micro)
                logprobs, entropy = statistics.logprobs, statistics.entropy
            else:
                ids, mask, sampled = padded(micro)
                tokens += ids.numel()
                out = model.model(input_ids=ids, attention_mask=mask.long(), use_cache=False)
                states = out.last_hidden_state[:, :-1][sampled[:, 1:]]
                logprobs, entropy = project(model.lm_head, states, ids[sampled], micro.temperature)
            (logprobs + 0.1 * entropy).sum().backward()
        return tokens

    before = peak_memory()
    tokens, seconds = timed(run)
    torch.save({name: parameter.grad for name, parameter in model.named_parameters()}, folder / f"{way}.pt")
    parameters = sum(parameter.numel() for parameter in model.parameters())
    return {"tokens": tokens, "seconds": seconds, "peak_mib": peak_memory() - before, "parameters": parameters}


def gradient_difference(folder: Path, way: str) -> float:
    """Return the greatest norm of a parameter gradient's difference from padded rows, relative to its own norm."""
    ours, theirs = (torch.load(folder / f"{name}.pt", weights_only=True) for name in (way, "padded"))
    return max(float((ours[name] - theirs[name]).norm() / theirs[name].norm()) for name in theirs)


def padded(batch: TrainBatch) -> tuple[Tensor, Tensor, Tensor]:
    """Return ids, and masks of real and of sampled tokens, of rows padded on the right to the longest, [B, L]."""
    sampled = torch.zeros(batch.ids.shape, dtype=torch.bool)
    sampled[batch.sampled] = True
    real = torch.ones(batch.ids.shape, dtype=torch.bool)
    lengths = batch.lengths.tolist()
    ids, mask, of_completions = (pad_sequence(t.split(lengths), batch_first=True) for t in (batch.ids, real, sampled))
    return ids, mask, of_completions


def padded_rows(batch: TrainBatch, max_tokens: int) -> list[Tensor]:
    """Return the row numbers of each micro-batch, longest first, each of at most ``max_tokens`` padded tokens."""
    groups: list[list[int]] = []
    for row in batch.lengths.argsort(descending=True).tolist():
        if groups and (len(groups[-1]) + 1) * int(batch.lengths[groups[-1][0]]) <= max_tokens:
            groups[-1].append(row)
        else:
            groups.append([row])
    return [torch.tensor(group) for group in groups]


if __name__ == "__main__":
    run_program(main)
