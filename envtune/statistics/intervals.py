"""95% confidence intervals of a mean over tasks."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from envtune.report_text import percent

LEVEL = 0.95
# Quantile 0.975 of the standard normal distribution.
Z = 1.959963984540054
RESAMPLES = 10_000
BOOTSTRAP_SEED = 0

# What `Estimate.method` stands for; written beside every score.
METHODS = {
    "wilson": "Wilson's score interval, the count being that of tasks",
    "bootstrap": f"percentile bootstrap over tasks, {RESAMPLES} resamples, seed {BOOTSTRAP_SEED}",
}

# 2 ** 20 numbers at a time: 8 MB.
_NUMBERS_PER_BLOCK = 2**20


@dataclass(frozen=True, slots=True)
class Estimate:
    """A mean of one number in [0, 1] per task, with its 95% interval."""

    mean: float
    low: float
    high: float
    method: str
    """A key of ``METHODS``."""


def estimate(values: Sequence[float]) -> Estimate:
    """Return mean and interval of ``values``: one per task, each in [0, 1] (with several samples, the task's mean).

    Wilson's interval if every value is 0 or 1, the bootstrap otherwise. Equal values also get Wilson's: their bootstrap
    would have no width, and no variable in [0, 1] varies more than a share of 0s and 1s. Tasks count as independent,
    although BFCL's four categories share their scenarios.

    Raises:
        ValueError: there are no values, or one is outside [0, 1].
    """
    if not values or not all(0.0 <= value <= 1.0 for value in values):
        raise ValueError(f"{len(values)} values must be one or more, each in 0 to 1")
    mean = math.fsum(values) / len(values)
    if set(values) <= {0.0, 1.0} or len(set(values)) == 1:
        return Estimate(mean, *wilson(mean, len(values)), "wilson")
    return Estimate(mean, *bootstrap(values), "bootstrap")


def wilson(share: float, count: int) -> tuple[float, float]:
    """Return Wilson's score interval of a share of ``count`` trials (Wilson 1927, doi 10.2307/2276774).

    With n trials and share p: (n p + z²/2 ± z √(n p (1 - p) + z²/4)) / (n + z²).
    """
    middle = count * share + Z**2 / 2
    half = Z * math.sqrt(count * share * (1 - share) + Z**2 / 4)
    whole = count + Z**2
    return max(0.0, (middle - half) / whole), min(1.0, (middle + half) / whole)


def bootstrap(values: Sequence[float]) -> tuple[float, float]:
    """Return the percentile interval of the means of resamples (Efron & Tibshirani 1993, section 13.3).

    Whole tasks are drawn, so that samples of one task stay together. The seed is fixed: equal values, equal interval.
    """
    rng = np.random.default_rng(BOOTSTRAP_SEED)
    drawn = np.asarray(values, dtype=np.float64)
    block = max(1, _NUMBERS_PER_BLOCK // len(values))
    sizes = [min(block, RESAMPLES - start) for start in range(0, RESAMPLES, block)]
    means = np.concatenate([rng.choice(drawn, (size, len(values))).mean(axis=1) for size in sizes])
    low, high = np.quantile(means, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return float(low), float(high)


def percent_with_interval(value: Estimate) -> str:
    """Return mean and interval in percent, as `12.5 (8.1 to 18.0)`."""
    return f"{percent(value.mean)} ({percent(value.low)} to {percent(value.high)})"
