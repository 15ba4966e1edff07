"""A mean over seeds with its 95% interval.

Each value belongs to one whole run and is itself a mean over tasks, so the interval measures the variance of training.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean, stdev

LEVEL = 0.95


@dataclass(frozen=True, slots=True)
class SeedMean:
    """A mean over seeds with its 95% interval, which a single seed does not have."""

    mean: float
    half: float | None
    """Half the width of the interval."""
    seeds: int

    @property
    def low(self) -> float | None:
        """Lower end of the interval."""
        return None if self.half is None else self.mean - self.half

    @property
    def high(self) -> float | None:
        """Upper end of the interval."""
        return None if self.half is None else self.mean + self.half


def mean_over_seeds(values: Sequence[float]) -> SeedMean:
    """Return mean ± t s / √n of one or more values, one per seed (Student 1908, doi 10.2307/2331554).

    t is the 0.975 quantile of Student's distribution with n - 1 degrees of freedom, s the unbiased standard deviation.
    Values count as normally distributed, so the interval of a share may exceed [0, 1].
    """
    count = len(values)
    half = student_quantile(count - 1) * stdev(values) / math.sqrt(count) if count > 1 else None
    return SeedMean(fmean(values), half, count)


def student_quantile(freedom: int) -> float:
    """Return the t with P(|T| <= t) = 0.95 for ``freedom`` degrees of freedom, 1 or more."""
    low, high = 0.0, 1.0
    while _within(high, freedom) < LEVEL:
        high *= 2
    # Enough for the precision of a double.
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if _within(middle, freedom) < LEVEL else (low, middle)
    return high


def _within(t: float, freedom: int) -> float:
    """Return P(|T| <= t) as a finite sum (Abramowitz & Stegun 1964, 26.7.3 and 26.7.4)."""
    angle = math.atan(t / math.sqrt(freedom))
    cosine = math.cos(angle)
    odd = freedom % 2
    term = cosine if odd else 1.0
    total = 0.0
    # Powers of the cosine below freedom - 1: 1, 3, 5, … of an odd freedom, 0, 2, 4, … of an even one.
    for power in range(odd, freedom - 1, 2):
        total += term
        term *= cosine**2 * (power + 1) / (power + 2)
    total *= math.sin(angle)
    return 2 / math.pi * (angle + total) if odd else total
