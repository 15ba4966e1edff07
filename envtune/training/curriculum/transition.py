"""When a stage of the curriculum is over, and when a run has collapsed: rules over what was measured so far. Pure.

The paper moves on "only when validation accuracy has plateaued and the gradient norm is stable" (remark 3.1) and leaves
both words open. Here each has a number that a person can look at.
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
    """What the rule looked at, None where there is too little of it, and whether the stage is over and why.

    ``gain``: best of the newest validations less the best before them. ``spread``: of the newest gradient norms, the
    80% in the middle from end to end, over their median.
    """

    gain: float | None
    spread: float | None
    reason: str | None


@checked
@dataclass(frozen=True, slots=True)
class TransitionRule:
    """A stage is over when validation gained no more than ``tolerance`` in the newest ``window`` validations, and the
    newest ``gradient_window`` gradient norms spread over no more than ``max_spread`` times their median; not before
    ``min_updates``, and in any case after ``max_updates``.

    Raises:
        UserError: a setting out of its range.
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
        """After ``updates`` updates of this stage, with its validations and gradient norms from the first on."""
        gain, spread = self._gain(validations), self._spread(gradient_norms)
        if self.max_updates is not None and updates >= self.max_updates:
            return Signals(gain, spread, f"{updates} updates are the most that this stage may take")
        if updates < self.min_updates or gain is None or spread is None:
            return Signals(gain, spread, None)
        over = gain <= self.tolerance and spread <= self.max_spread
        return Signals(gain, spread, self._reason(gain, spread) if over else None)

    def describe(self, updates: int, signals: Signals) -> str:
        """What the rule waits for, in a sentence for a person."""
        gain = "not known yet" if signals.gain is None else f"{signals.gain:.3f}"
        spread = "not known yet" if signals.spread is None else f"{signals.spread:.2f}"
        return (
            f"gain of validation {gain} (plateau: at most {self.tolerance}), spread of the gradient norm {spread} "
            f"(stable: at most {self.max_spread}), {updates} updates (at least {self.min_updates})"
        )

    def _reason(self, gain: float, spread: float) -> str:
        return (
            f"validation gained {gain:.3f} in its last {self.window} rounds (at most {self.tolerance} counts as a "
            f"plateau), and the gradient norm spreads over {spread:.2f} of its median (at most {self.max_spread} "
            "counts as stable)"
        )

    def _gain(self, validations: Sequence[float]) -> float | None:
        newest, before = validations[-self.window :], validations[: -self.window]
        return max(newest) - max(before) if before else None

    def _spread(self, gradient_norms: Sequence[float]) -> float | None:
        newest = gradient_norms[-self.gradient_window :]
        if len(newest) < self.gradient_window:
            return None
        tenths = quantiles(newest, n=10, method="inclusive")
        return (tenths[-1] - tenths[0]) / median(newest) if median(newest) > 0 else 0.0


@checked
@dataclass(frozen=True, slots=True)
class CollapseGuard:
    """A run has collapsed when the gradient norm is not finite or ``max_gradient_ratio`` times the median of the
    ``window`` before it, or the KL to the reference is above ``max_kl`` nats a token.

    Raises:
        UserError: a setting out of its range.
    """

    max_gradient_ratio: Annotated[float, Field(gt=1), AllowInfNan(True)] = 50.0
    max_kl: Annotated[float, Field(gt=0), AllowInfNan(True)] = 5.0
    window: Count = 20

    def judge(self, gradient_norms: Sequence[float], kl: float) -> str | None:
        """What has exploded in the newest update, or None. A ratio needs ``window`` gradient norms before it."""
        if not isfinite(gradient_norms[-1]):
            return f"the gradient norm is {gradient_norms[-1]}"
        if kl > self.max_kl:
            return f"KL {kl:.2f} nats a token is above {self.max_kl}"
        before = gradient_norms[-self.window - 1 : -1]
        if len(before) == self.window and gradient_norms[-1] > self.max_gradient_ratio * median(before):
            ratio = gradient_norms[-1] / median(before) if median(before) else float("inf")
            return f"the gradient norm is {ratio:.0f} times its median, more than {self.max_gradient_ratio:g}"
        return None
