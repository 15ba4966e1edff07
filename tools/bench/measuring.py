"""Parts that all benchmarks share: options, alternating rounds, clocks, memory, a process per measurement, JSON."""

from __future__ import annotations

import json
import multiprocessing
import resource
import statistics
import sys
import time
from argparse import ArgumentParser, ArgumentTypeError, RawDescriptionHelpFormatter
from collections.abc import Callable, Iterable, Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any, TypeVar

K = TypeVar("K")
T = TypeVar("T")

ROOT = Path(__file__).parents[2]
"""The repository root, in which programs that a benchmark starts run."""


def command_line(description: str | None, add_help: bool = True, **numbers: int | tuple[int, str]) -> ArgumentParser:
    """Return a parser with an option for each of ``numbers``, integers: the default, or the default and the help."""
    parser = ArgumentParser(description=description, formatter_class=RawDescriptionHelpFormatter, add_help=add_help)
    for name, number in numbers.items():
        default, text = number if isinstance(number, tuple) else (number, None)
        # A default of 0 stands for nothing: 0 is allowed there.
        least = min(1, default)
        parser.add_argument(f"--{name.replace('_', '-')}", type=at_least(least), default=default, help=text)
    return parser


def at_least(least: int) -> Callable[[str], int]:
    """Return an argparse type that accepts integers of ``least`` or more."""

    def integer(text: str) -> int:
        if (value := int(text)) < least:
            raise ArgumentTypeError(f"{value} must be {least} or more")
        return value

    return integer


def require(package: str, sentence: str) -> None:
    """Exit with ``sentence`` if ``package`` is not installed."""
    if find_spec(package) is None:
        sys.exit(f"error: {sentence}")


def alternate(ways: Iterable[K], rounds: int, measure: Callable[[K], T]) -> dict[K, list[T]]:
    """Measure every way once per round and return the measurements by way.

    Rounds alternate because other programs slow the machine down for minutes at a time: all ways get their share.
    """
    measured: dict[K, list[T]] = {way: [] for way in ways}
    for number in range(rounds):
        for way, results in measured.items():
            print(f"round {number + 1} of {rounds}: {way}", file=sys.stderr, flush=True)
            results.append(measure(way))
    return measured


def timed(run: Callable[[], T], device: str = "cpu") -> tuple[T, float]:
    """Return the result of ``run`` and its seconds by the clock, with the kernels that it queued on ``device``."""
    _wait_for(device)
    started = time.perf_counter()
    result = run()
    _wait_for(device)
    return result, time.perf_counter() - started


def _wait_for(device: str) -> None:
    if device.startswith("cuda"):
        # Not above: loading torch takes seconds, and some benchmarks do without it.
        import torch

        torch.cuda.synchronize(device)


def in_a_process(measure: Callable[..., T], *arguments: Any) -> T:
    """Call ``measure`` in a fresh process, so that its peak memory and compiled kernels are its own."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(measure, arguments)


def peak_memory() -> float:
    """Return the largest resident memory of this process so far, in MiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def medians(records: Sequence[Mapping[str, float]], digits: int = 4) -> dict[str, float]:
    """Return the median of every field, rounded to ``digits`` decimals."""
    return {name: round(statistics.median(record[name] for record in records), digits) for name in records[0]}


def print_figures(figures: Mapping[str, Any]) -> None:
    """Print the figures of a benchmark as indented JSON."""
    print(json.dumps(figures, indent=2))
