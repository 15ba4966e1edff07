"""The table of runs made by hand, and the end of the neighbours; no test depends on time."""

from __future__ import annotations

import io
import os
import subprocess
import sys

import psutil
import pytest
from rich.console import Console

from tools.bench import neighbours
from tools.bench.neighbours import OURS, ROOT, TORCHS_OWN, Timed


def test_ratios_are_of_medians():
    seconds = {
        (TORCHS_OWN, 0): (10, 90, 20),
        (OURS, 0): (22, 21, 30),
        (TORCHS_OWN, 2): (300, 100, 200),
        (OURS, 2): (66, 60, 90),
    }
    runs = [Timed(way, beside, time, 7.0, 0.5) for (way, beside), times in seconds.items() for time in times]
    output = io.StringIO()
    Console(file=output, width=160).print(neighbours.table(runs))
    rows = [[cell.strip() for cell in line.split("│")[1:-1]] for line in output.getvalue().splitlines() if "│" in line]
    assert rows == [
        [TORCHS_OWN, "20.0", "1.00", "200.0", "10.0", "7.0 to 7.0", "0.5 to 0.5"],
        [OURS, "22.0", "1.10", "66.0", "3.0", "7.0 to 7.0", "0.5 to 0.5"],
    ]


def test_the_environment_sets_one_openmp_variable(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    monkeypatch.setenv("GOMP_SPINCOUNT", "5")
    given = neighbours.environment("OMP_WAIT_POLICY=PASSIVE")
    assert given["OMP_WAIT_POLICY"] == "PASSIVE"
    assert not {"OMP_NUM_THREADS", "GOMP_SPINCOUNT"} & given.keys()
    assert given["PATH"] == os.environ["PATH"]


def test_neighbours_train_within_the_context_and_end_on_an_interrupt():
    with pytest.raises(KeyboardInterrupt), neighbours.neighbours(1) as programs:  # noqa: PT012
        assert programs[0].poll() is None
        raise KeyboardInterrupt
    assert not psutil.pid_exists(programs[0].pid)


def test_neighbours_end_when_the_parent_process_is_killed():
    body = """
import os
from tools.bench.neighbours import neighbours
with neighbours(1) as programs:
    print(programs[0].pid, flush=True)
    os.kill(os.getpid(), 9)
"""
    killed = subprocess.run([sys.executable, "-c", body], cwd=ROOT, capture_output=True, text=True, check=False)
    assert killed.returncode == -9
    psutil.wait_procs([psutil.Process(int(killed.stdout))] if psutil.pid_exists(int(killed.stdout)) else [], timeout=60)
    assert not psutil.pid_exists(int(killed.stdout))
