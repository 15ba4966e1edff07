from __future__ import annotations

from collections import Counter

import pytest

from envtune.bfcl.category import Category
from envtune.bfcl.split import Sides, draw_of_categories, named_split, paper_split, scenario_split, seal_split
from envtune.errors import UserError


def _per_category(ids: frozenset[str]) -> Counter[str]:
    return Counter(name.removeprefix("multi_turn_").rpartition("_")[0] for name in ids)


@pytest.mark.parametrize("sides", [scenario_split(), seal_split(), paper_split(0), paper_split(1)])
def test_each_split_halves_each_category_and_no_task_is_on_both_sides(sides: Sides) -> None:
    assert not sides.train & sides.held_out
    assert len(sides.train | sides.held_out) == 800
    assert set(_per_category(sides.train).values()) == {100}


@pytest.mark.parametrize(
    ("sides", "trained", "held_out"), [(scenario_split(), "3", "0"), (seal_split(), "0", "1")], ids=["scenario", "seal"]
)
def test_a_scenario_is_on_one_side_in_all_categories(sides: Sides, trained: str, held_out: str) -> None:
    numbers = [{name.rpartition("_")[2] for name in side} for side in (sides.train, sides.held_out)]
    assert [len(side) for side in numbers] == [100, 100]
    assert not numbers[0] & numbers[1]
    assert trained in numbers[0]
    assert held_out in numbers[1]


def test_seals_split_has_400_training_and_400_held_out_tasks_by_its_name() -> None:
    sides = named_split("seal", seed=3)
    assert (len(sides.train), len(sides.held_out)) == (400, 400)
    assert sides == seal_split() != scenario_split()


def test_paper_split_is_drawn_by_its_seed() -> None:
    assert paper_split(4) == paper_split(4)
    assert paper_split(4) != paper_split(5)


def test_ten_validation_tasks_of_four_categories_are_three_three_two_two() -> None:
    drawn = draw_of_categories(scenario_split().held_out, tuple(Category), 10, 0, "val_size")
    assert [_per_category(frozenset(drawn))[category] for category in Category] == [3, 3, 2, 2]
    assert scenario_split().held_out.issuperset(drawn)
    assert drawn != draw_of_categories(scenario_split().held_out, tuple(Category), 10, 1, "val_size")


def test_more_validation_tasks_than_are_held_out_is_told_in_one_sentence() -> None:
    with pytest.raises(UserError, match=r"val_size=101 asks for 101 tasks of base: choose so that it is 0 to 100"):
        draw_of_categories(scenario_split().held_out, [Category.BASE], 101, 0, "data.val_size")


def test_an_unknown_split_is_told_with_those_that_exist() -> None:
    with pytest.raises(UserError, match="'random' is unknown: use one of scenario, paper, seal"):
        named_split("random", 0)
