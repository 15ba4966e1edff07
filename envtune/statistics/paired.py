"""95% confidence intervals of the difference of two means over the same tasks."""

from __future__ import annotations

import math
from collections.abc import Sequence

from envtune.statistics.intervals import Estimate, estimate, wilson

# What `Estimate.method` stands for here.
METHODS = {
    "newcombe": "Newcombe's score interval of paired shares",
    "bootstrap": "percentile bootstrap over the tasks' differences",
    "wilson": "Wilson's score interval of differences that are all equal",
}


def paired_difference(values: Sequence[float], others: Sequence[float]) -> Estimate:
    """Return the mean of ``values`` minus ``others``, in the same order of tasks and in [0, 1], with its 95% interval.

    Newcombe's interval if every value is 0 or 1; otherwise that of `estimate` for the differences, mapped from [-1, 1]
    to [0, 1] and back.

    Raises:
        ValueError: there are no values, the two differ in length, or a value is outside [0, 1].
    """
    if len(values) != len(others):
        raise ValueError(f"{len(values)} values and {len(others)} others must be as many")
    if values and {*values, *others} <= {0.0, 1.0}:
        return newcombe(values, others)
    moved = estimate([(1 + value - other) / 2 for value, other in zip(values, others, strict=True)])
    return Estimate(2 * moved.mean - 1, 2 * moved.low - 1, 2 * moved.high - 1, moved.method)


def newcombe(values: Sequence[float], others: Sequence[float]) -> Estimate:
    """Return the interval of method 10 of Newcombe 1998 (Statistics in Medicine 17, pages 2635 to 2650).

    Wilson's intervals of both shares, joined by their correlation φ over tasks, with its continuity correction.
    """
    count = len(values)
    first, second = math.fsum(values) / count, math.fsum(others) / count
    low_1, high_1 = wilson(first, count)
    low_2, high_2 = wilson(second, count)
    phi = _correlation(values, others)
    down, up = first - low_1, high_2 - second
    below = math.sqrt(down**2 - 2 * phi * down * up + up**2)
    up, down = high_1 - first, second - low_2
    above = math.sqrt(up**2 - 2 * phi * up * down + down**2)
    difference = first - second
    return Estimate(difference, max(-1.0, difference - below), min(1.0, difference + above), "newcombe")


def _correlation(values: Sequence[float], others: Sequence[float]) -> float:
    """Return φ of the table of tasks that both, one or neither passed; 0 if all or none passed on either side."""
    pairs = list(zip(values, others, strict=True))
    both, only_first = pairs.count((1.0, 1.0)), pairs.count((1.0, 0.0))
    only_second, none = pairs.count((0.0, 1.0)), pairs.count((0.0, 0.0))
    product = (both + only_first) * (only_second + none) * (both + only_second) * (only_first + none)
    if product == 0:
        return 0.0
    determinant = both * none - only_first * only_second
    corrected = max(determinant - len(pairs) / 2, 0.0) if determinant > 0 else determinant
    return corrected / math.sqrt(product)
