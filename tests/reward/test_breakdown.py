"""A reward of the user's own: numbers of any library become floats, everything else is refused in a sentence."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np
import pytest
import torch
from played_episodes import answer, call, calls, episode, turn

from envtune.errors import UserError
from envtune.reward import RewardBreakdown, RewardPart, ToolRLReward, judge
from envtune.reward.breakdown import RESERVED
from envtune.training.reporting.metrics import group_samples
from envtune.training.rollout_batch import RewardedGroup


class Mine:
    """Returns what it was given."""

    def __init__(self, found: Any) -> None:
        self.found = found

    def __call__(self, trajectory: Any) -> Any:
        if isinstance(self.found, Exception):
            raise self.found
        return self.found


LS = call("ls")
PLAYED = episode(turn(calls(LS), answer(), ground_truth=[LS]))
NUMBERS = [2, True, Fraction(1, 2), np.float32(0.5), np.float16(0.5), np.int64(2), np.bool_(True), np.array(0.5)]
NUMBERS += [torch.tensor(0.5), torch.tensor(2), torch.tensor(0.5, requires_grad=True), torch.tensor(0.5).bfloat16()]
NO_NUMBERS = [None, "0.5", b"1", 1j, 1e39, -1e39, 10**400, float("nan"), float("inf"), np.float32("nan"), [0.5]]
NO_NUMBERS += [
    np.array([0.5]),
    torch.tensor([0.5]),
    torch.tensor(float("-inf")),
    object(),
    np.str_("1"),
    np.complex64(1),
]


def part(value: Any, weight: Any = 1.0, name: Any = "mine") -> RewardBreakdown:
    return RewardBreakdown((RewardPart(name, value, weight),))


@pytest.mark.parametrize("number", NUMBERS, ids=lambda number: f"{type(number).__name__} {number}")
def test_a_number_of_any_library_becomes_a_float(number: Any):
    for found in (part(number), part(1.0, number)):
        judged = judge(Mine(found), PLAYED)
        assert judged.total == float(number.detach() if isinstance(number, torch.Tensor) else number)
        assert [type(value) for one in judged.parts for value in (one.value, one.weight)] == [float, float]


@pytest.mark.parametrize("value", NO_NUMBERS, ids=lambda value: f"{type(value).__name__} {str(value)[:20]}")
def test_what_is_not_a_finite_number_is_refused_with_reward_part_task_and_value(value: Any):
    for found, kind in ((part(value), "value"), (part(1.0, value), "weight")):
        with pytest.raises(UserError) as error:
            judge(Mine(found), PLAYED)
        told = str(error.value)
        assert told.startswith(f"the reward Mine, for an episode of multi_turn_base_0: part 'mine' has the {kind} ")
        assert (repr(value)[:20] in told, "give a finite number" in told, "\n" in told) == (True, True, False)


def test_a_sum_that_float32_cannot_hold_is_refused_with_its_parts():
    found = RewardBreakdown((RewardPart("a", 1e20, 1e20), RewardPart("b", 1.0)))
    with pytest.raises(UserError, match=r"Mine, .*: its parts \(a=1e\+20 \* 1e\+20, b=1\.0 \* 1\.0\) make 1e\+40: "):
        judge(Mine(found), PLAYED)


@pytest.mark.parametrize(
    "found", [0.5, None, "good", (RewardPart("mine", 1.0),), RewardPart("mine", 1.0), {"mine": 1.0}, RewardBreakdown]
)
def test_anything_but_a_breakdown_is_refused_with_what_to_return(found: Any):
    with pytest.raises(UserError, match=r"multi_turn_base_0: it returned .*: return RewardBreakdown\(\(RewardPart\("):
        judge(Mine(found), PLAYED)


@pytest.mark.parametrize("parts", [RewardPart("mine", 1.0), (), [], None, (0.5,), (("mine", 0.5),), 3])
def test_parts_that_are_not_a_tuple_of_parts_are_refused(parts: Any):
    with pytest.raises(UserError, match=r"it returned RewardBreakdown\(.*: return RewardBreakdown\(\(RewardPart\("):
        judge(Mine(RewardBreakdown(parts)), PLAYED)


def test_a_list_of_parts_becomes_a_tuple():
    judged = judge(Mine(RewardBreakdown([RewardPart("a", 1), RewardPart("b", 2)])), PLAYED)  # type: ignore[arg-type]
    assert judged == RewardBreakdown((RewardPart("a", 1.0), RewardPart("b", 2.0)))


@pytest.mark.parametrize("name", ["", None, 3, *sorted(RESERVED)])
def test_a_name_that_cannot_be_logged_is_refused(name: Any):
    with pytest.raises(
        UserError, match=r"a part has the name .*: give each part a text of its own as its name, none of "
    ):
        judge(Mine(part(1.0, name=name)), PLAYED)


def test_two_parts_of_one_name_are_refused():
    found = RewardBreakdown((RewardPart("steps", 1.0), RewardPart("steps", 2.0)))
    with pytest.raises(UserError, match="a part has the name 'steps': give each part a text of its own as its name"):
        judge(Mine(found), PLAYED)


def test_every_number_that_is_logged_for_the_whole_reward_has_a_reserved_name():
    group = RewardedGroup((PLAYED, PLAYED), (part(1.0), part(0.0)), ((1.0,), (-1.0,)))
    logged = {name.removeprefix("reward/") for name in group_samples([group])} - {"mine"}
    assert logged | {"refills"} == RESERVED


def test_an_error_of_the_rewards_own_is_raised_with_reward_and_task():
    with pytest.raises(RuntimeError, match=r"^the reward Mine, for an episode of multi_turn_base_0, raised") as error:
        judge(Mine(KeyError("x")), PLAYED)
    assert isinstance(error.value.__cause__, KeyError)
    with pytest.raises(UserError, match=r"^my own sentence$"):
        judge(Mine(UserError("my own sentence")), PLAYED)


def test_a_function_is_a_reward_too_and_goes_by_its_name():
    def my_reward(trajectory: Any) -> Any:
        return part(None)

    with pytest.raises(UserError, match=r"^the reward my_reward, for an episode of "):
        judge(my_reward, PLAYED)


def test_a_reward_of_plain_floats_is_returned_as_it_is():
    assert judge(ToolRLReward(), PLAYED) == ToolRLReward()(PLAYED)
