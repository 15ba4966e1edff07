"""Times a short training run alone and beside other busy programs, for several ways in which OpenMP's threads wait.

    python -m tools.bench.neighbours                                  # torch's own way, and envtune's
    python -m tools.bench.neighbours GOMP_SPINCOUNT=10000 OMP_WAIT_POLICY=PASSIVE --rounds 3

The neighbours are made up: two programs that train a small network on all cores, with torch's own way of waiting. They
end with this program, however it ends. Rounds alternate alone and beside, and all ways within each; a first run, which
fills the caches of the disk, does not count. Prints a table of medians: seconds by the clock and of processor time, and
of all single runs the load average of the minute before, for other programs may be running too.
"""

from __future__ import annotations

import argparse
import os
import resource
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import envtune.process_start

from rich.console import Console
from rich.table import Table

from envtune.program import run_program

ROOT = Path(__file__).parents[2]
RUN = ("debug=fast", "data=playground", "trainer=cpu")
# What libgomp does if nothing is set, in its own words; envtune would set something else.
TORCHS_OWN = "GOMP_SPINCOUNT=300000"
OURS = f"GOMP_SPINCOUNT={envtune.process_start.SPIN_COUNT}"
_READ_BY_OPENMP = ("OMP_", "GOMP_", "KMP_")
# A neighbour that nobody ends ends by itself.
_LONGEST = 3600.0


@dataclass(frozen=True, slots=True)
class Timed:
    """One run: ``beside`` so many neighbours, seconds by the clock and of processor time, the load average before."""

    way: str
    beside: int
    seconds: float
    processor: float
    load: float


def main() -> None:
    options = _options()
    if options.neighbour:
        train_beside(options.neighbour)
        return
    # So that the neighbours are ended too.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    ways = list(dict.fromkeys((TORCHS_OWN, OURS, *options.ways)))
    try:
        timed_run(OURS, 0)
        runs = []
        for _ in range(options.rounds):
            for beside in (0, options.neighbours):
                for way in ways:
                    with neighbours(beside):
                        runs.append(timed_run(way, beside))
                        print(runs[-1], file=sys.stderr)
    except KeyboardInterrupt:
        sys.exit("error: interrupted; the neighbours have ended")
    Console(width=None if sys.stdout.isatty() else 120).print(table(runs))


def timed_run(way: str, beside: int) -> Timed:
    """Runs the command in ``way``; exits with what it printed if it fails."""
    load = os.getloadavg()[0]
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "train.py", *RUN, f"hydra.run.dir={folder}/run"]
        before, started = _processor_time(), time.perf_counter()
        done = subprocess.run(
            command, cwd=ROOT, env=environment(way), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False
        )
        seconds, processor = time.perf_counter() - started, _processor_time() - before
    if done.returncode:
        sys.exit(f"error: the run failed:\n{done.stdout.decode()[-2000:]}")
    return Timed(way, beside, round(seconds, 1), round(processor, 1), round(load, 1))


def table(runs: Sequence[Timed]) -> Table:
    """Medians by way, and beside them what the goals are about: times idle, and against torch's own way."""
    shown = Table(title=f"{' '.join(RUN)}, {os.cpu_count()} cores, medians")
    for name in ("way", "alone, s", "of torch's own", "beside, s", "of alone", "processor, s", "load before"):
        shown.add_column(name, justify="left" if name == "way" else "right")
    of_torch = _median(runs, TORCHS_OWN, False)
    for way in dict.fromkeys(run.way for run in runs):
        alone, beside = (_median(runs, way, is_beside) for is_beside in (False, True))
        processor = [run.processor for run in runs if run.way == way]
        loads = [run.load for run in runs if run.way == way]
        shown.add_row(
            way,
            f"{alone:.1f}",
            f"{alone / of_torch:.2f}",
            f"{beside:.1f}",
            f"{beside / alone:.1f}",
            f"{min(processor):.1f} to {max(processor):.1f}",
            f"{min(loads):.1f} to {max(loads):.1f}",
        )
    return shown


def environment(way: str) -> Mapping[str, str]:
    """This process's, with ``way`` as the only setting of OpenMP."""
    name, _, value = way.partition("=")
    return {key: v for key, v in os.environ.items() if not key.startswith(_READ_BY_OPENMP)} | {name: value}


@contextmanager
def neighbours(count: int) -> Iterator[list[subprocess.Popen[bytes]]]:
    """``count`` busy programs, all at work; they are gone at the end, however it comes."""
    command = [sys.executable, "-m", "tools.bench.neighbours", "--neighbour", str(os.getpid())]
    programs: list[subprocess.Popen[bytes]] = []
    try:
        for _ in range(count):
            programs.append(subprocess.Popen(command, cwd=ROOT, env=environment(TORCHS_OWN), stdout=subprocess.PIPE))
        for program in programs:
            assert program.stdout
            program.stdout.readline()
        yield programs
    finally:
        for program in programs:
            program.kill()
            program.communicate()


def train_beside(parent: int) -> None:
    """The body of a neighbour: trains until ``parent`` is gone, and prints a line when it is at work."""
    # Ctrl-C reaches the program, which then ends this one.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    import torch

    layers = [layer for _ in range(6) for layer in (torch.nn.Linear(256, 256), torch.nn.ReLU())]
    model = torch.nn.Sequential(*layers)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
    steps, end = 0, time.monotonic() + _LONGEST
    while os.getppid() == parent and time.monotonic() < end:
        model(torch.randn(64, 256)).square().mean().backward()
        optimizer.step()
        optimizer.zero_grad()
        steps += 1
        if steps == 1:
            print("at work", flush=True)


def _median(runs: Sequence[Timed], way: str, beside: bool) -> float:
    return statistics.median(run.seconds for run in runs if run.way == way and bool(run.beside) == beside)


def _processor_time() -> float:
    """Of all programs that have ended; the neighbours are still at work."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("ways", nargs="*", metavar="NAME=VALUE", help="a variable that OpenMP reads, to time too")
    parser.add_argument("--neighbours", type=int, default=2, help="busy programs")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--neighbour", type=int, metavar="PID", help=argparse.SUPPRESS)
    return parser.parse_intermixed_args()


if __name__ == "__main__":
    run_program(main)
