"""Set the environment variables that libraries read at import. Commands import this module before all others.

In your own program write `import envtune.process_start` above `import torch`; later it does not change the threads.
"""

from __future__ import annotations

import os
import sys

from envtune.processes.ranks import remove_malformed_ranks

# Spins of an idle OpenMP thread before it sleeps. libgomp's default of 300,000 takes 8 ms: beside other busy programs,
# which share the cores in time slices of about 3 ms, threads spend their slices waiting for threads that do not run.
# 1,000 spins take 0.03 ms, about as long as waking a thread; with 0 each small operation would wake one.
# Measured by tools/bench/neighbours.py on two cores of a Xeon: docs/performance.md.
SPIN_COUNT = "1000"
_SET_BY_USER = ("GOMP_SPINCOUNT", "OMP_WAIT_POLICY")


def shorten_spinning() -> None:
    """Set ``SPIN_COUNT`` for this process and its children, unless the user has set how threads wait.

    Does nothing after torch is loaded: its OpenMP library has read the environment by then.
    """
    if "torch" not in sys.modules and not any(name in os.environ for name in _SET_BY_USER):
        os.environ["GOMP_SPINCOUNT"] = SPIN_COUNT


shorten_spinning()
remove_malformed_ranks()
