"""What a reward says about one trajectory: named, weighted parts and their sum."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from numbers import Real
from typing import Any, Protocol

from envtune.errors import UserError
from envtune.trajectory import Trajectory

# What is logged as reward/<name> for the reward as a whole (envtune/training/reporting/metrics.py).
RESERVED = frozenset({"mean", "std", "frac_zero_std", "frac_all_fail", "frac_all_success", "refills"})
# Advantages are computed in float32, which ends at 3.4e38 and has to hold the sum over a group.
LARGEST = 1e30
_SHOULD = "return RewardBreakdown((RewardPart(name, value), …)), with at least one part"


@dataclass(frozen=True, slots=True)
class RewardPart:
    """One reason for a reward. It contributes ``weight * value``; the same names recur for every trajectory."""

    name: str
    value: float
    weight: float = 1.0

    @property
    def contribution(self) -> float:
        return self.weight * self.value


@dataclass(frozen=True, slots=True)
class RewardBreakdown:
    """One trajectory's reward with its reasons."""

    parts: tuple[RewardPart, ...]

    @property
    def total(self) -> float:
        return sum(part.contribution for part in self.parts)


class Reward(Protocol):
    """Judges one finished episode by its record alone."""

    def __call__(self, trajectory: Trajectory) -> RewardBreakdown: ...


def judge(reward: Reward, trajectory: Trajectory) -> RewardBreakdown:
    """The breakdown of ``trajectory`` by ``reward``, which may be the user's own: every number is made a plain float.

    Raises:
        UserError: it is not a breakdown, a name cannot be logged, or a number is not finite or beyond ``LARGEST``.
        RuntimeError: the reward has raised the error that is the cause.
    """
    place = f"the reward {getattr(reward, '__name__', type(reward).__name__)}, for an episode of {trajectory.task_id}"
    try:
        found: Any = reward(trajectory)
    except UserError:
        raise
    except Exception as error:
        raise RuntimeError(f"{place}, raised {type(error).__name__}: {error}") from error
    try:
        return _checked(found)
    except UserError as error:
        raise UserError(f"{place}: {error}") from None


def _checked(found: Any) -> RewardBreakdown:
    parts = list(found.parts) if isinstance(found, RewardBreakdown) and isinstance(found.parts, tuple | list) else []
    if not parts or not all(isinstance(part, RewardPart) for part in parts):
        raise UserError(f"it returned {_shown(found)}: {_SHOULD}")
    _check_names([part.name for part in parts])
    judged = replace(found, parts=tuple(map(_plain, parts)))
    if not abs(judged.total) <= LARGEST:
        terms = ", ".join(f"{part.name}={part.value} * {part.weight}" for part in judged.parts)
        raise UserError(f"its parts ({terms}) make {judged.total}: give a finite number of at most {LARGEST:g}")
    return judged


def _check_names(names: Sequence[Any]) -> None:
    seen: set[str] = set()
    for name in names:
        if not isinstance(name, str) or not name or name in RESERVED or name in seen:
            raise UserError(
                f"a part has the name {_shown(name)}: give each part a text of its own as its name, none of "
                f"{', '.join(sorted(RESERVED))}"
            )
        seen.add(name)


def _plain(part: RewardPart) -> RewardPart:
    return replace(part, value=_number(part, "value"), weight=_number(part, "weight"))


def _number(part: RewardPart, kind: str) -> float:
    given = getattr(part, kind)
    number = _float(given)
    if not abs(number) <= LARGEST:
        raise UserError(
            f"part {part.name!r} has the {kind} {_shown(given)} ({type(given).__name__}): give a finite number of at "
            f"most {LARGEST:g}"
        )
    return number


def _float(given: Any) -> float:
    """NaN if it is not a number. Scalars of numpy and torch have no dimensions and an ``item``."""
    scalar = given.item() if getattr(given, "ndim", None) == 0 else given
    try:
        return float(scalar) if isinstance(scalar, Real) else math.nan
    except OverflowError:
        return math.inf


def _shown(value: Any) -> str:
    text = " ".join(repr(value).split())
    return text if len(text) <= 100 else f"{text[:99]}…"
