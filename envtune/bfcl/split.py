"""Named splits into training and held-out task ids.

``scenario`` keeps whole scenarios together, because a number is the same story in all four categories. ``paper`` halves
each category separately, as Environment Tuning does (arXiv 2510.10197, section 4.1), so that most held-out stories are
also trained on in another category. ``seal`` is the split of SEAL (arXiv 2605.24426), which also keeps whole scenarios
together.
"""

from __future__ import annotations

import json
import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from importlib.resources import files

from envtune.bfcl.category import Category
from envtune.environment.even_draw import draw_evenly
from envtune.errors import UserError

SCENARIOS = 200
SPLITS = ("scenario", "paper", "seal")


@dataclass(frozen=True, slots=True)
class Sides:
    """The training and held-out ids of a split."""

    train: frozenset[str]
    held_out: frozenset[str]


def task_id(category: Category, scenario: int) -> str:
    """Return BFCL's id of a task."""
    return f"multi_turn_{category}_{scenario}"


def named_split(name: str, seed: int) -> Sides:
    """Return the split ``scenario`` or ``seal``, which do not depend on the seed, or ``paper``, which is drawn by it.

    Raises:
        UserError: the name is unknown.
    """
    if name == "scenario":
        return scenario_split()
    if name == "paper":
        return paper_split(seed)
    if name == "seal":
        return seal_split()
    raise UserError(f"split {name!r} is unknown: use one of {', '.join(SPLITS)}")


def scenario_split() -> Sides:
    """Return the published halves: 100 scenarios each, balanced over tool classes, near duplicates together."""
    return _shipped_halves("bfcl_scenario_split.json")


def seal_split() -> Sides:
    """Return the halves that SEAL trained and tested on: 100 scenarios each."""
    return _shipped_halves("bfcl_seal_split.json")


def paper_split(seed: int) -> Sides:
    """Return a split with a random half of each category for training, drawn separately per category."""
    train: set[str] = set()
    everything: set[str] = set()
    for category in Category:
        ids = [task_id(category, scenario) for scenario in range(SCENARIOS)]
        everything.update(ids)
        train.update(random.Random(f"paper split {seed} {category}").sample(ids, SCENARIOS // 2))
    return Sides(frozenset(train), frozenset(everything - train))


def draw_of_categories(
    ids: Iterable[str], categories: Sequence[Category], size: int, seed: int, setting: str
) -> tuple[str, ...]:
    """Draw ``size`` of the ids evenly over the categories (see ``draw_evenly``).

    Raises:
        UserError: a category has fewer ids than its share, or ``size`` is negative.
    """
    available = set(ids)
    candidates = {
        str(category): [
            name for name in (task_id(category, scenario) for scenario in range(SCENARIOS)) if name in available
        ]
        for category in categories
    }
    for position, (category, names) in enumerate(candidates.items()):
        share = size // len(categories) + (position < size % len(categories))
        if not 0 <= share <= len(names):
            raise UserError(
                f"{setting}={size} asks for {share} tasks of {category}: choose so that it is 0 to {len(names)}"
            )
    return draw_evenly(candidates, size, seed, setting)


def _shipped_halves(file: str) -> Sides:
    halves = json.loads(files("envtune.bfcl").joinpath(file).read_text(encoding="utf-8"))
    return Sides(_in_all_categories(halves["train_indices"]), _in_all_categories(halves["test_indices"]))


def _in_all_categories(scenarios: Iterable[int]) -> frozenset[str]:
    return frozenset(task_id(category, scenario) for scenario in scenarios for category in Category)
