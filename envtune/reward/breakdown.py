"""The result of a reward for one trajectory: named, weighted parts and their sum."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from numbers import Real
from typing import Any, Protocol

from envtune.errors import UserError
from envtune.trajectory import Trajectory

# Names logged as reward/<name> for the reward as a whole.
RESERVED = frozenset({"mean", "std", "frac_zero_std", "frac_all_fail", "frac_all_success", "refills"})
# Advantages are computed in float32 (at most 3.4e38), which must hold the sum over a group.
LARGEST = 1e30
_SHOULD = "return RewardBreakdown((RewardPart(name, value), …)), with at least one part"


@dataclass(frozen=True, slots=True)
class RewardPart:
    """One term of a reward."""

    name: str
    """Unique in the breakdown, and equal for every trajectory."""
    value: float
    weight: float = 1.0

    @property
    def contribution(self) -> float:
        """``weight * value``."""
        return self.weight * self.value


@dataclass(frozen=True, slots=True)
class RewardBreakdown:
    """The reward of one trajectory in its parts."""

    parts: tuple[RewardPart, ...]

    @property
    def total(self) -> float:
        """The sum of the contributions."""
        return sum(part.contribution for part in self.parts)


class Reward(Protocol):
    """A function from the record of a finished episode to a breakdown."""

    def __call__(self, trajectory: Trajectory) -> RewardBreakdown:
        """Return the reward of a trajectory."""
        ...


def judge(reward: Reward, trajectory: Trajectory) -> RewardBreakdown:
    """Apply a reward, possibly a user's own, to a trajectory; return a validated breakdown of plain floats.

    Raises:
        UserError: the result is not a breakdown, a name cannot be logged, or a number is not finite or beyond
            ``LARGEST``.
        RuntimeError: the reward raised an exception, which is the cause.
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
    """Return a number or a numpy or torch scalar as a float; NaN for any other value."""
    scalar = given.item() if getattr(given, "ndim", None) == 0 else given
    try:
        return float(scalar) if isinstance(scalar, Real) else math.nan
    except OverflowError:
        return math.inf


def _shown(value: Any) -> str:
    text = " ".join(repr(value).split())
    return text if len(text) <= 100 else f"{text[:99]}…"
