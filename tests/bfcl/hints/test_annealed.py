from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from error_surface import result
from of_tables import ANY_TASK

from envtune.bfcl.environment import BFCL_ENVIRONMENT
from envtune.environment.augmentation.actionable import Actionable
from envtune.environment.augmentation.annealed import Annealed

FAILURE = result("setHeadlights", {"mode": "dim"}, "Invalid headlight mode.")
SUCCESS = result("ls", {}, '{"current_directory_content": []}')


def annealed(**settings: Any) -> Annealed:
    defaults = {"window": 4, "measure": "success", "full_until": 0.2, "none_from": 0.6}
    return Annealed(Actionable(), **(defaults | settings))


def given(augmentation: Annealed, toolbox: Any, seed: int, failures: int = 1000) -> list[bool]:
    hints = augmentation.for_episode(BFCL_ENVIRONMENT, ANY_TASK, seed)
    return [hints.hint(FAILURE, toolbox) is not None for _ in range(failures)]


@pytest.mark.parametrize(
    ("levels", "probability"),
    [([], 1.0), ([0.0], 1.0), ([0.2], 1.0), ([0.3], 0.75), ([0.5, 0.3], 0.5), ([0.6], 0.0), ([1.0], 0.0)],
)
def test_the_probability_falls_in_a_straight_line_between_the_two_levels(levels, probability):
    augmentation = annealed()
    augmentation.observe(levels)
    assert augmentation.probability == pytest.approx(probability)


def test_only_the_last_episodes_count():
    augmentation = annealed()
    augmentation.observe([1.0] * 4)
    assert augmentation.probability == 0.0
    # Two of the last four succeeded, level 0.5; then one, level 0.25.
    augmentation.observe([0.0] * 2)
    assert augmentation.probability == pytest.approx(0.25)
    augmentation.observe([0.0])
    assert augmentation.probability == pytest.approx(0.875)


def test_the_measure_is_the_one_asked_for():
    half_done = SimpleNamespace(success=False, progress=0.5)
    assert (annealed().measured(half_done), annealed(measure="progress").measured(half_done)) == (0.0, 0.5)


def test_every_hint_is_given_at_first_and_none_at_the_end(toolbox):
    augmentation = annealed()
    assert all(given(augmentation, toolbox, seed=1))
    augmentation.observe([0.6])
    assert not any(given(augmentation, toolbox, seed=1))


def test_hints_are_given_as_often_as_the_probability_says(toolbox):
    augmentation = annealed()
    augmentation.observe([0.3])
    # 0.75 within four standard errors of 1000 draws: 4 * sqrt(0.75 * 0.25 / 1000) = 0.055.
    assert abs(sum(given(augmentation, toolbox, seed=1)) / 1000 - 0.75) < 0.055


def test_the_draws_depend_on_the_episodes_seed_alone(toolbox):
    augmentation = annealed()
    augmentation.observe([0.4])
    first = given(augmentation, toolbox, seed=1)
    assert given(augmentation, toolbox, seed=2) != first
    assert given(augmentation, toolbox, seed=1) == first


def test_what_needs_no_hint_costs_no_draw(toolbox):
    augmentation = annealed()
    augmentation.observe([0.4])
    hints = augmentation.for_episode(BFCL_ENVIRONMENT, ANY_TASK, 1)
    drawn = []
    for _ in range(100):
        assert hints.hint(SUCCESS, toolbox) is None
        drawn.append(hints.hint(FAILURE, toolbox) is not None)
    assert drawn == given(augmentation, toolbox, seed=1, failures=100)


def test_the_probability_of_an_episode_is_that_of_its_start(toolbox):
    augmentation = annealed()
    hints = augmentation.for_episode(BFCL_ENVIRONMENT, ANY_TASK, 1)
    augmentation.observe([1.0])
    assert hints.hint(FAILURE, toolbox) is not None
    assert augmentation.for_episode(BFCL_ENVIRONMENT, ANY_TASK, 1).hint(FAILURE, toolbox) is None


def test_a_restored_state_goes_on_alike():
    one, other = annealed(), annealed()
    one.observe([0.5, 0.0, 0.5, 0.5])
    other.observe([1.0])
    other.load_state_dict(one.state_dict())
    assert other.probability == one.probability
    for augmentation in (one, other):
        augmentation.observe([0.0])
    assert other.state_dict() == one.state_dict() == {"recent": [0.0, 0.5, 0.5, 0.0]}
