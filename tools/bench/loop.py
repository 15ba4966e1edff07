"""Time the default training run from outside: seconds to the first update, updates, memory from update to update.

    python -m tools.bench.loop --minutes 10

Starts `python train.py stage=3 reward=progress` (further arguments are passed on), reads its log lines as they come and
prints one JSON object with the goals beside the measured values.

    python -m tools.bench.loop --peer trl                      # episodes of one user turn, with BFCL's tools
    python -m tools.bench.loop --peer trl --plain-tokens 128   # no tools, completions of one length

compares envtune with TRL on equal work instead, both in turn and each in processes of its own: seconds per update,
tokens per second, and what was and was not equal.
"""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass

import envtune.process_start

from envtune.program import run_program
from tools.bench.measuring import ROOT, command_line, print_figures

GOALS = {"seconds_to_first_update": 60, "updates_in_10_minutes": 10}

_UPDATE = re.compile(r"update (\d+)/\d+ .*resident memory ([\d.]+) GiB")


@dataclass(frozen=True, slots=True)
class Update:
    """One update, read from its log line."""

    number: int
    seconds: float
    """Seconds since the start of the program."""
    resident_memory: float
    """GiB after the update."""


def updates_of(command: list[str], limit_s: float) -> Iterator[Update]:
    """Run ``command`` for at most ``limit_s`` seconds and yield its updates as they are logged."""
    started = time.monotonic()
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as program:
        assert program.stdout is not None
        try:
            for line in program.stdout:
                seconds = time.monotonic() - started
                found = _UPDATE.search(line)
                if found:
                    yield Update(int(found[1]), round(seconds, 1), float(found[2]))
                elif line.startswith("error:"):
                    sys.exit(line.strip())
                if seconds > limit_s:
                    break
        finally:
            program.terminate()


def summary(updates: list[Update]) -> dict[str, object]:
    """Return the measured value of every goal, and resident memory at the third, the middle and the last update."""
    last = updates[-1]
    per_update = (last.seconds - updates[0].seconds) / max(1, len(updates) - 1)
    extrapolated = 1 + (600 - updates[0].seconds) / per_update if per_update else float("inf")
    # The first two updates still allocate caches.
    settled = updates[min(2, len(updates) - 1) :]
    return {
        "goals": GOALS,
        "measured": {
            "seconds_to_first_update": updates[0].seconds,
            "updates_in_10_minutes": sum(update.seconds <= 600 for update in updates)
            if last.seconds > 600
            else int(extrapolated),
        },
        "updates_seen": len(updates),
        "seconds_seen": last.seconds,
        "seconds_per_update": round(per_update, 2),
        "resident_memory_gib": {
            "third_update": settled[0].resident_memory,
            "middle": settled[len(settled) // 2].resident_memory,
            "last": last.resident_memory,
            "most": max(update.resident_memory for update in updates),
        },
    }


def main() -> None:
    """Print the figures of a run, or of the comparison with a peer."""
    # With a peer, --help lists the options of the comparison.
    parser = command_line(__doc__, add_help="--peer" not in sys.argv)
    parser.add_argument("--minutes", type=float, default=10.0, help="stop after this long")
    parser.add_argument("--peer", choices=("trl",), help="compare with this trainer; --peer trl --help lists more")
    options, overrides = parser.parse_known_args()
    if options.peer:
        # Loads transformers, which the other measurement does not need.
        from tools.bench.peer.comparison import compare

        print_figures(compare(options.peer, overrides))
        return
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-u", "train.py", "stage=3", "reward=progress", f"hydra.run.dir={folder}"]
        updates = list(updates_of([*command, "trainer.max_steps=100000", *overrides], 60 * options.minutes))
    if not updates:
        sys.exit("error: the run ended before its first update; run the same train.py command by hand to see why")
    print_figures(summary(updates))


if __name__ == "__main__":
    run_program(main)
