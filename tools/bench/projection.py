"""Measure memory and time of log-probs and entropies: in chunks, as in the update, and from whole logits.

    python -m tools.bench.projection                       # both ways at 2k tokens, chunks also at 32k
    python -m tools.bench.projection --tokens 4096         # both ways at another number of tokens

Each measurement is one forward and backward pass of a weighted sum of log-probs and entropies in a process of its own,
in float32 at a vocabulary of 152k. The whole logits of 32k tokens exceed the memory of most machines (20 GB, several
times over), so their peak is extrapolated from the measured one, to which it is proportional. Prints JSON.
"""

from __future__ import annotations

import argparse

import envtune.process_start

import torch
from torch import Tensor, nn

from envtune.program import run_program
from envtune.training.model.projection import project
from tools.bench.measuring import alternate, command_line, in_a_process, peak_memory, print_figures, timed

TEMPERATURE = 0.7
NAMES = ("logprobs", "entropy", "states_gradient", "head_gradient")


def main() -> None:
    """Print least seconds and peak memory of both ways, and their differences."""
    parser = command_line(
        __doc__,
        tokens=(2048, "tokens at which both ways run"),
        long_tokens=(32768, "tokens at which only chunks run"),
        vocabulary=152064,
        hidden=64,
        threads=2,
        rounds=3,
    )
    options = parser.parse_args()
    rows = alternate(WAYS, options.rounds, lambda way: in_a_process(measure, way, options.tokens, options))
    long = in_a_process(measure, "chunked", options.long_tokens, options)
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
    print_figures(figures)


def measure(way: str, tokens: int, options: argparse.Namespace) -> dict[str, float]:
    """Return the seconds of one forward and backward pass, and the peak in MiB beyond the inputs and the head."""
    torch.set_num_threads(options.threads)
    head, states, targets, weights = _inputs(tokens, options)
    before = peak_memory()

    def run() -> None:
        logprobs, entropy = WAYS[way](head, states, targets)
        (weights * (logprobs + 0.5 * entropy)).sum().backward()

    seconds = timed(run)[1]
    return {"seconds": round(seconds, 2), "peak_mib": round(peak_memory() - before)}


def difference(options: argparse.Namespace) -> dict[str, float]:
    """Return the differences between both ways at 256 tokens: of values in nats, of gradients relative to the norm."""
    values = {}
    for way, run in WAYS.items():
        head, states, targets, weights = _inputs(256, options)
        logprobs, entropy = run(head, states, targets)
        gradients = torch.autograd.grad((weights * (logprobs + 0.5 * entropy)).sum(), [states, head.weight])
        values[way] = (logprobs.detach(), entropy.detach(), *gradients)
    return {
        name: float((ours - theirs).abs().max() if "gradient" not in name else (ours - theirs).norm() / theirs.norm())
        for name, ours, theirs in zip(NAMES, values["chunked"], values["whole"], strict=True)
    }


def whole(head: nn.Linear, states: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
    """Return log-probs [N] and entropies [N] from all logits [N, V] at once; ``states`` are [N, H]."""
    distribution = torch.log_softmax(head(states).float() / TEMPERATURE, dim=-1)
    return distribution.gather(-1, targets[:, None])[:, 0], -(distribution.exp() * distribution).sum(dim=-1)


def chunked(head: nn.Linear, states: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
    """Return log-probs [N] and entropies [N] from logits of a chunk of tokens at a time, as the update does."""
    return project(head, states, targets, TEMPERATURE)


WAYS = {"whole": whole, "chunked": chunked}


def _inputs(tokens: int, options: argparse.Namespace) -> tuple[nn.Linear, Tensor, Tensor, Tensor]:
    torch.manual_seed(0)
    head = nn.Linear(options.hidden, options.vocabulary, bias=False)
    states = torch.randn(tokens, options.hidden, requires_grad=True)
    return head, states, torch.randint(options.vocabulary, (tokens,)), torch.rand(tokens)


if __name__ == "__main__":
    run_program(main)
