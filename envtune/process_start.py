"""Prepares the environment variables that libraries read when they are loaded. Commands import it before all others.

In a program of your own write `import envtune.process_start` above `import torch`; after torch is loaded, it leaves the
threads as they are.
"""

from __future__ import annotations

import os
import sys

from envtune.processes.ranks import ignore_malformed

# How often an idle OpenMP thread looks for work before it sleeps. libgomp's 300,000 looks take 8 ms: beside other busy
# programs, which share the cores in slices of some 3 ms, threads spend their slices waiting for threads that do not
# run. 1,000 looks take 0.03 ms, about as long as waking a thread; without any, each small operation would wake one.
# Measured by tools/bench/neighbours.py on two cores of a Xeon: docs/performance.md.
SPIN_COUNT = "1000"
_USERS_OWN = ("GOMP_SPINCOUNT", "OMP_WAIT_POLICY")


def shorten_spinning() -> None:
    """Sets ``SPIN_COUNT`` for this process and those it starts, unless the user has set how threads wait.

    Does nothing if torch is loaded: its OpenMP library has read the environment then.
    """
    if "torch" not in sys.modules and not any(name in os.environ for name in _USERS_OWN):
        os.environ["GOMP_SPINCOUNT"] = SPIN_COUNT


shorten_spinning()
ignore_malformed()
