"""Time a short training run alone and beside busy programs, for several ways in which OpenMP's threads wait.

    python -m tools.bench.neighbours                                  # torch's own way, and envtune's
    python -m tools.bench.neighbours GOMP_SPINCOUNT=10000 OMP_WAIT_POLICY=PASSIVE --rounds 3

The neighbours are two programs that train a small network on all cores, with torch's own way of waiting. They end with
this program, even if it is killed. Rounds alternate between alone and beside, and between all ways; a first run, which
fills the caches of the disk, does not count. Prints a table of medians: seconds by the clock and of processor time, and
the range of the load average in the minute before each run, since other programs may be running too.
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

import envtune.process_start

from rich.console import Console
from rich.table import Table

from envtune.program import run_program
from envtune.report_text import table as empty_table
from tools.bench.measuring import ROOT, alternate, command_line, timed

RUN = ("debug=fast", "data=playground", "trainer=cpu")
# The default of libgomp, written out: if nothing is set, envtune sets another value.
TORCHS_OWN = "GOMP_SPINCOUNT=300000"
OURS = f"GOMP_SPINCOUNT={envtune.process_start.SPIN_COUNT}"
_READ_BY_OPENMP = ("OMP_", "GOMP_", "KMP_")
# Seconds after which a neighbour ends in any case.
_LONGEST = 3600.0


@dataclass(frozen=True, slots=True)
class Timed:
    """Times of one run."""

    way: str
    beside: int
    """Number of neighbours."""
    seconds: float
    """Seconds by the clock."""
    processor: float
    """Seconds of processor time."""
    load: float
    """Load average of the minute before."""


def main() -> None:
    """Time all ways and print the table, or run as a neighbour."""
    parser = command_line(__doc__, neighbours=(2, "busy programs"), rounds=3)
    parser.add_argument("ways", nargs="*", metavar="NAME=VALUE", help="a variable that OpenMP reads, to time too")
    parser.add_argument("--neighbour", type=int, metavar="PID", help=argparse.SUPPRESS)
    options = parser.parse_intermixed_args()
    if options.neighbour:
        train_beside(options.neighbour)
        return
    # An exception ends the neighbours, a signal that kills this process would not.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    ways = dict.fromkeys((TORCHS_OWN, OURS, *options.ways))
    pairs = [(way, beside) for beside in (0, options.neighbours) for way in ways]
    try:
        timed_run(OURS, 0)
        runs = alternate(pairs, options.rounds, lambda pair: timed_run(*pair))
    except KeyboardInterrupt:
        sys.exit("error: interrupted; the neighbours have ended")
    Console(width=None if sys.stdout.isatty() else 120).print(table([run for pair in pairs for run in runs[pair]]))


def timed_run(way: str, beside: int) -> Timed:
    """Run the command in ``way`` beside so many neighbours; exit with its output if it fails."""
    with tempfile.TemporaryDirectory() as folder, neighbours(beside):
        command = [sys.executable, "train.py", *RUN, f"hydra.run.dir={folder}/run"]
        load, before = os.getloadavg()[0], _processor_time()
        done, seconds = timed(
            lambda: subprocess.run(
                command, cwd=ROOT, env=environment(way), stdout=subprocess.PIPE, stderr=subprocess.STDOUT
            )
        )
        processor = _processor_time() - before
    if done.returncode:
        sys.exit(f"error: the run failed:\n{done.stdout.decode()[-2000:]}")
    run = Timed(way, beside, round(seconds, 1), round(processor, 1), round(load, 1))
    print(run, file=sys.stderr)
    return run


def table(runs: Sequence[Timed]) -> Table:
    """Return a table of medians by way, with their ratios to torch's own way and to the run alone."""
    columns = ("alone, s", "of torch's own", "beside, s", "of alone", "processor, s", "load before")
    shown = empty_table(f"{' '.join(RUN)}, {os.cpu_count()} cores, medians", ["way"], columns)
    # Torch's own way is the first of all runs.
    alone_of: dict[str, float] = {}
    for way in dict.fromkeys(run.way for run in runs):
        of_way = [run for run in runs if run.way == way]
        alone = statistics.median(run.seconds for run in of_way if not run.beside)
        beside = statistics.median(run.seconds for run in of_way if run.beside)
        alone_of[way] = alone
        shown.add_row(
            way,
            f"{alone:.1f}",
            f"{alone / alone_of[TORCHS_OWN]:.2f}",
            f"{beside:.1f}",
            f"{beside / alone:.1f}",
            f"{min(run.processor for run in of_way):.1f} to {max(run.processor for run in of_way):.1f}",
            f"{min(run.load for run in of_way):.1f} to {max(run.load for run in of_way):.1f}",
        )
    return shown


def environment(way: str) -> Mapping[str, str]:
    """Return the environment of this process with ``way`` as the only setting of OpenMP."""
    name, _, value = way.partition("=")
    return {key: v for key, v in os.environ.items() if not key.startswith(_READ_BY_OPENMP)} | {name: value}


@contextmanager
def neighbours(count: int) -> Iterator[list[subprocess.Popen[bytes]]]:
    """Run ``count`` busy programs, all training when the context begins, and kill them when it ends."""
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
    """Train until the process ``parent`` has ended; print a line after the first step."""
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


def _processor_time() -> float:
    """Return the processor seconds of all child processes that have ended; the neighbours are still running."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


if __name__ == "__main__":
    run_program(main)
