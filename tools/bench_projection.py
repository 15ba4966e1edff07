"""Memory and time of log-probs and entropies: in chunks, as the update takes them, and from the whole logits.

    python tools/bench_projection.py                       # both ways at 2k tokens, chunks also at 32k
    python tools/bench_projection.py --tokens 4096         # both ways at another number of tokens

Each measurement is a process of its own: forward and backward of a weighted sum of log-probs and entropies, float32,
at a vocabulary of 152k. The whole logits of 32k tokens do not fit most machines (20 GB, several times over), so their
peak there is computed from the measured one, which is in proportion to the tokens. Prints JSON.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import resource
import time
from typing import Any

import envtune.process_start

import torch
from torch import Tensor, nn

from envtune.program import run_program
from envtune.training.model.projection import project

TEMPERATURE = 0.7


def main() -> int:
    options = _options()
    rows: dict[str, list[dict[str, Any]]] = {"whole": [], "chunked": []}
    for _ in range(options.rounds):
        for way in rows:
            rows[way].append(in_a_process(way, options.tokens, options))
    long = in_a_process("chunked", options.long_tokens, options)
    best = {
        way: {"seconds": min(r["seconds"] for r in runs), "peak_mib": runs[0]["peak_mib"]} for way, runs in rows.items()
    }
    whole_long = best["whole"]["peak_mib"] * options.long_tokens / options.tokens
    figures = {
        "settings": vars(options),
        f"at_{options.tokens}_tokens": best,
        f"at_{options.long_tokens}_tokens": {
            "chunked": long,
            "whole_peak_mib_computed": whole_long,
            "chunked_peak_over_whole": long["peak_mib"] / whole_long,
        },
        "chunked_time_over_whole": best["chunked"]["seconds"] / best["whole"]["seconds"],
        "greatest_difference": difference(options),
    }
    print(json.dumps(figures, indent=2, default=lambda value: round(value, 3)))
    return 0


def in_a_process(way: str, tokens: int, options: argparse.Namespace) -> dict[str, float]:
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(measure, (way, tokens, options))


def measure(way: str, tokens: int, options: argparse.Namespace) -> dict[str, float]:
    """Seconds of one forward and backward pass, and peak memory beyond the inputs and the head."""
    torch.set_num_threads(options.threads)
    head, states, targets, weights = _inputs(tokens, options)
    before, started = _resident_mib(), time.perf_counter()
    logprobs, entropy = _WAYS[way](head, states, targets)
    (weights * (logprobs + 0.5 * entropy)).sum().backward()
    return {"seconds": round(time.perf_counter() - started, 2), "peak_mib": round(_resident_mib() - before)}


def difference(options: argparse.Namespace) -> dict[str, float]:
    """Between the two ways at 256 tokens: values in nats, gradients relative to their norm."""
    values = {}
    for way, run in _WAYS.items():
        head, states, targets, weights = _inputs(256, options)
        logprobs, entropy = run(head, states, targets)
        gradients = torch.autograd.grad((weights * (logprobs + 0.5 * entropy)).sum(), [states, head.weight])
        values[way] = (logprobs.detach(), entropy.detach(), *gradients)
    names = ("logprobs", "entropy", "states_gradient", "head_gradient")
    pairs = zip(names, values["chunked"], values["whole"], strict=True)
    return {
        name: float((ours - theirs).abs().max() if "gradient" not in name else (ours - theirs).norm() / theirs.norm())
        for name, ours, theirs in pairs
    }


def whole(head: nn.Linear, states: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
    """From all logits at once."""
    distribution = torch.log_softmax(head(states).float() / TEMPERATURE, dim=-1)
    return distribution.gather(-1, targets[:, None])[:, 0], -(distribution.exp() * distribution).sum(dim=-1)


def chunked(head: nn.Linear, states: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
    return project(head, states, targets, TEMPERATURE)


_WAYS = {"whole": whole, "chunked": chunked}


def _inputs(tokens: int, options: argparse.Namespace) -> tuple[nn.Linear, Tensor, Tensor, Tensor]:
    torch.manual_seed(0)
    head = nn.Linear(options.hidden, options.vocabulary, bias=False)
    states = torch.randn(tokens, options.hidden, requires_grad=True)
    return head, states, torch.randint(options.vocabulary, (tokens,)), torch.rand(tokens)


def _resident_mib() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Memory and time of log-probs, chunked and from the whole logits.")
    parser.add_argument("--tokens", type=int, default=2048, help="tokens at which both ways run")
    parser.add_argument("--long-tokens", type=int, default=32768, help="tokens at which only chunks run")
    parser.add_argument("--vocabulary", type=int, default=152064)
    parser.add_argument("--hidden", type=int, default=64)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=3)
    return parser.parse_args()


if __name__ == "__main__":
    run_program(main)
