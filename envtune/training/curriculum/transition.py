"""The rules by which a stage of the curriculum is over, or a run has collapsed. Pure functions of the measurements.

The paper advances "only when validation accuracy has plateaued and the gradient norm is stable" (remark 3.1), but does
not define either. Here each has a number and a threshold.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import isfinite
from statistics import median, quantiles
from typing import Annotated

from pydantic import AllowInfNan, Field

from envtune.checked import Count, NotNegative, Positive, checked
from envtune.errors import UserError


@dataclass(frozen=True, slots=True)
class Signals:
    """The measurements of the rule, None where there are too few, and its decision."""

    gain: float | None
    """Best of the newest validations minus the best of those right before them; negative for a fall."""
    spread: float | None
    """Distance of the first and last decile of the newest gradient norms, divided by their median."""
    reason: str | None
    """Why the stage is over; None if it is not."""


@checked
@dataclass(frozen=True, slots=True)
class TransitionRule:
    """A stage is over when validation has plateaued and the gradient norm is stable, or after ``max_updates``.

    Validation has plateaued when the best of the newest ``window`` results differs by at most ``tolerance`` from the
    best of up to ``window`` results before them. A fall is not a plateau: a validation that keeps falling ends a stage
    only through ``max_updates``, the trainer's limits or ``CollapseGuard``. One that has fallen and then stands still
    for so long that the higher results have left both windows is a plateau at its new level.

    Args:
        window: the newest validations, which are compared with as many before them.
        tolerance: the greatest rise or fall on a plateau, in units of the metric.
        gradient_window: the newest gradient norms whose spread is measured.
        max_spread: the greatest spread of stable norms, as a multiple of their median.
        min_updates: updates before which a stage is not over.
        max_updates: updates after which it is over in any case; None for no limit.

    Raises:
        UserError: an argument is out of range.
    """

    window: Annotated[int, Field(ge=1, description="validations")] = 4
    tolerance: NotNegative = 0.01
    gradient_window: Annotated[int, Field(ge=10, description="updates")] = 20
    max_spread: Positive = 1.0
    min_updates: Annotated[int, Field(ge=0)] = 20
    max_updates: Count | None = None

    def __post_init__(self) -> None:
        if self.max_updates is not None and self.max_updates < self.min_updates:
            raise UserError(f"max_updates={self.max_updates} must be min_updates={self.min_updates} or more")

    def judge(self, updates: int, validations: Sequence[float], gradient_norms: Sequence[float]) -> Signals:
        """Judge the stage after ``updates`` updates, from all of its validations and gradient norms so far."""
        newest, before = validations[-self.window :], validations[-2 * self.window : -self.window]
        gain, spread = max(newest) - max(before) if before else None, self._spread(gradient_norms)
        if self.max_updates is not None and updates >= self.max_updates:
            return Signals(gain, spread, f"{updates} updates are the most that this stage may take")
        if updates < self.min_updates or gain is None or spread is None:
            return Signals(gain, spread, None)
        if abs(gain) > self.tolerance or spread > self.max_spread:
            return Signals(gain, spread, None)
        reason = (
            f"validation changed by {gain:+.3f} in its last {self.window} rounds (up to ±{self.tolerance} is a "
            f"plateau), and the gradient norm spreads over {spread:.2f} of its median (at most {self.max_spread} "
            "counts as stable)"
        )
        return Signals(gain, spread, reason)

    def describe(self, updates: int, signals: Signals) -> str:
        """Return the signals and their thresholds in words."""
        gain = "unknown yet" if signals.gain is None else f"{signals.gain:+.3f}"
        spread = "unknown yet" if signals.spread is None else f"{signals.spread:.2f}"
        return (
            f"gain of validation {gain} (plateau: within ±{self.tolerance}), spread of the gradient norm {spread} "
            f"(stable: at most {self.max_spread}), {updates} updates (at least {self.min_updates})"
        )

    def _spread(self, gradient_norms: Sequence[float]) -> float | None:
        newest = gradient_norms[-self.gradient_window :]
        if len(newest) < self.gradient_window:
            return None
        tenths = quantiles(newest, n=10, method="inclusive")
        return (tenths[-1] - tenths[0]) / median(newest) if median(newest) > 0 else 0.0


@checked
@dataclass(frozen=True, slots=True)
class CollapseGuard:
    """A run has collapsed when its gradient norm or its KL to the reference explodes, or the norm is not finite.

    Args:
        max_gradient_ratio: the greatest ratio of the newest gradient norm to the median before it.
        max_kl: the greatest KL, in nats per token.
        window: the number of gradient norms in that median.

    Raises:
        UserError: an argument is out of range.
    """

    max_gradient_ratio: Annotated[float, Field(gt=1), AllowInfNan(True)] = 50.0
    max_kl: Annotated[float, Field(gt=0), AllowInfNan(True)] = 5.0
    window: Count = 20

    def judge(self, gradient_norms: Sequence[float], kl: float) -> str | None:
        """Return what has exploded in the newest update, or None. The ratio needs ``window`` earlier gradient norms."""
        if not isfinite(gradient_norms[-1]):
            return f"the gradient norm is {gradient_norms[-1]}"
        if kl > self.max_kl:
            return f"KL {kl:.2f} nats a token is above {self.max_kl}"
        before = gradient_norms[-self.window - 1 : -1]
        if len(before) == self.window and gradient_norms[-1] > self.max_gradient_ratio * median(before):
            ratio = gradient_norms[-1] / median(before) if median(before) else float("inf")
            return f"the gradient norm is {ratio:.0f} times its median, more than {self.max_gradient_ratio:g}"
        return None
