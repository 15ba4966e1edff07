"""Seeds derived from other seeds and positions."""

from __future__ import annotations

import numpy as np


def derived_seed(*parts: int) -> int:
    """Return a seed in [0, 2^63) for a tuple of numbers; different tuples get independent random streams."""
    return int(np.random.SeedSequence(parts).generate_state(1, np.uint64)[0]) >> 1
