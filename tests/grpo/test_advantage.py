"""Estimators of advantages on groups whose numbers are worked out by hand."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from statistics import fmean
from typing import Any

import pytest
import torch

from envtune.errors import UserError
from envtune.grpo.advantage import compared_by_kind
from envtune.grpo.advantage.by_state import ByState
from envtune.grpo.advantage.group_relative import GroupRelative, group_relative_advantages
from envtune.grpo.advantage.leave_one_out import LeaveOneOut
from envtune.grpo.advantage.rewards_to_go import RewardsToGo, returns_to_go
from envtune.grpo.advantage.weighted_by_diagnosis import WeightedByDiagnosis
from envtune.task import ToolCall
from envtune.trajectory import UNREADABLE, EpisodeEnd, Trajectory, Turn, TurnEnd, TurnRule, TurnVerdict


def episode(*passed: bool, turn_count: int = 2, states: Sequence[str | None] = ()) -> Trajectory:
    """Return an episode of so many turns, each passed or not, that began in these states."""
    turns = tuple(
        Turn(
            "",
            (),
            (),
            TurnEnd.ANSWERED,
            TurnVerdict(state=ok, response=ok, called=True, expects_answer=False, answered=True),
            state,
        )
        for ok, state in itertools.zip_longest(passed, states)
    )
    return Trajectory("t", "base", turn_count, turns, EpisodeEnd.TERMINATED)


def relative(*rewards: float, eps: float = 0.0) -> list[float]:
    return group_relative_advantages(torch.tensor(rewards), eps).tolist()


def test_group_relative_is_the_deviation_over_the_sample_standard_deviation():
    # mean 0.5; sample variance 4 * 0.25 / 3 = 1/3, so 0.5 / sqrt(1/3) = 0.8660
    assert relative(1.0, 0.0, 0.0, 1.0) == pytest.approx([0.8660254, -0.8660254, -0.8660254, 0.8660254])
    # Two rewards d apart: deviations d/2, sample std d/sqrt(2), so +-0.7071 whatever the group's level and scale.
    assert relative(10.0, 30.0) == pytest.approx([-0.7071068, 0.7071068])


def test_eps_is_added_to_the_standard_deviation():
    # deviations +-1, sample std sqrt(2); (sqrt(2) + eps) = 2 gives +-0.5
    assert relative(0.0, 2.0, eps=2.0 - 2.0**0.5) == pytest.approx([-0.5, 0.5])


def test_equal_rewards_give_exactly_0_even_if_their_mean_rounds():
    assert relative(*[0.1] * 7) == [0.0] * 7
    assert LeaveOneOut()([episode(True)] * 7, [0.1] * 7) == [[0.0]] * 7


def test_a_group_of_one_is_refused():
    with pytest.raises(ValueError, match="group size of 2 or more"):
        relative(1.0)


def test_every_turn_of_an_episode_has_its_group_relative_advantage():
    found = GroupRelative(eps=2.0 - 2.0**0.5)([episode(True, False), episode(True)], [0.0, 2.0])
    assert found == [[pytest.approx(-0.5)] * 2, [pytest.approx(0.5)]]


def test_leave_one_out_is_the_difference_from_the_mean_of_the_others():
    # 3 - (0 + 1) / 2, 0 - (3 + 1) / 2, 1 - (3 + 0) / 2
    found = LeaveOneOut()([episode(True, True), episode(False), episode(True)], [3.0, 0.0, 1.0])
    assert found == [[2.5, 2.5], [-2.0], [pytest.approx(-0.5)]]


def test_a_turn_is_credited_with_itself_and_the_turns_after_it():
    assert returns_to_go(episode(True, False, True, turn_count=4), TurnRule.METHOD) == [0.5, 0.25, 0.25]


def test_rewards_to_go_are_compared_with_those_of_others_that_reached_the_turn():
    # To go: (1, 1/2), (1/2, 0), (0) and (1/2, 1/2). Turn 0: 1 - (1/2 + 0 + 1/2) / 3 = 2/3, 1/2 - (1 + 0 + 1/2) / 3 = 0,
    # 0 - (1 + 1/2 + 1/2) / 3 = -2/3, 0. Turn 1, of three: 1/2 - 1/4, 0 - 1/2, 1/2 - 1/4.
    group = [episode(True, True), episode(True, False), episode(False), episode(False, True)]
    estimate = RewardsToGo(outcome_weight=0.0, normalize=False)
    assert estimate(group, [0.0] * 4) == [
        [pytest.approx(2 / 3), 0.25],
        [pytest.approx(0.0), -0.5],
        [pytest.approx(-2 / 3)],
        [pytest.approx(0.0), 0.25],
    ]


def test_rewards_to_go_are_normalised_by_one_scale_and_mixed_with_the_outcome():
    # Differences 1/2, 1/2 and -1/2, -1/2 of two episodes: root mean square 1/2, so 1 and -1; outcomes +-0.7071.
    group = [episode(True, True), episode(True, False)]
    only_turns = RewardsToGo(outcome_weight=0.0)(group, [5.0, 1.0])
    assert only_turns == [pytest.approx([1.0, 1.0], abs=1e-5), pytest.approx([-1.0, -1.0], abs=1e-5)]
    mixed = RewardsToGo(outcome_weight=0.25)(group, [1.0, 5.0])
    assert mixed[0] == pytest.approx([0.75 - 0.25 * 0.7071068] * 2, abs=1e-5)


def test_episodes_of_equal_progress_differ_in_their_turns():
    # Both passed one of two turns, in another order: the reward cannot tell them apart, the second turn can.
    group = [episode(True, False), episode(False, True)]
    assert GroupRelative()(group, [0.5, 0.5]) == [[0.0, 0.0], [0.0, 0.0]]
    found = RewardsToGo(outcome_weight=0.5)(group, [0.5, 0.5])
    # Differences 0, -1/2 and 0, 1/2: root mean square 0.3536, half of -1.4142.
    assert found == [pytest.approx([0.0, -0.7071068], abs=1e-5), pytest.approx([0.0, 0.7071068], abs=1e-5)]


def test_members_in_equal_states_are_compared_with_each_other():
    # Turn 0: all four in state s, to go 1, 1/2, 1/2, 0: mean 1/2, sample std sqrt(1/6) = 0.4082, so +-1.2247 and 0.
    # Turn 1: two in state a, to go 1/2 and 0, so +-0.7071; one alone in b, one in c.
    group = [
        episode(True, True, states="sa"),
        episode(True, False, states="sa"),
        episode(False, True, states="sb"),
        episode(False, False, states="sc"),
    ]
    found = ByState(state_weight=1.0)(group, [0.0] * 4)
    assert found == [
        pytest.approx([1.2247449, 0.7071068], abs=1e-4),
        pytest.approx([0.0, -0.7071068], abs=1e-4),
        pytest.approx([0.0, 0.0], abs=1e-4),
        pytest.approx([-1.2247449, 0.0], abs=1e-4),
    ]


def test_the_state_is_weighted_beside_the_outcome():
    group = [episode(True, states="s"), episode(False, states="s")]
    # Outcomes -+0.7071, states +-0.7071 with half the weight.
    assert ByState(0.5)(group, [0.0, 1.0])[0] == pytest.approx([-0.7071068 / 2], abs=1e-5)


def test_equal_states_at_different_turns_are_not_compared():
    group = [episode(True, False, states="ab"), episode(False, True, states="ba")]
    assert ByState()(group, [0.0, 0.0]) == [[0.0, 0.0], [0.0, 0.0]]


def test_states_that_could_not_be_read_are_equal_to_no_other():
    group = [episode(ok, states=[UNREADABLE]) for ok in (True, False)]
    assert ByState()(group, [0.0, 0.0]) == [[0.0], [0.0]]


def test_a_turn_without_a_state_is_refused():
    with pytest.raises(ValueError, match="turn 1 of the trajectory of task t has no digest of its state"):
        ByState()([episode(True, True, states=["s"])] * 2, [0.0, 1.0])


RHO = {"passed": 1.0, "state_mismatch": 3.0, "missing_tool_call": 0.25}


def test_an_episode_is_weighted_by_the_mean_over_the_labels_of_its_turns():
    # Outcomes +-0.7071. One turn passed and one omitted its call: (1 + 0.25) / 2; three of a kind reach both bounds.
    omitted = replace(episode(False).turns[0], ground_truth=(ToolCall("ls", {}),))
    half = replace(episode(True), turns=(*episode(True).turns, omitted))
    idle = replace(episode(True), turns=(omitted,))
    wrong = episode(False, False)  # without a due call: a mismatch of the state
    estimate = WeightedByDiagnosis(RHO, lowest=0.5, highest=2.0)
    assert estimate([half, idle], [1.0, 0.0]) == [
        pytest.approx([0.625 * 0.7071068] * 2, abs=1e-5),
        pytest.approx([0.5 * -0.7071068], abs=1e-5),
    ]
    assert estimate([wrong, idle], [0.0, 1.0])[0] == pytest.approx([2.0 * -0.7071068] * 2, abs=1e-5)


@pytest.mark.parametrize(
    ("rho", "bounds", "sentence"),
    [
        ({"pased": 1.0}, (0.5, 2.0), "rho has the unknown label 'pased': use passed, correct_abstention, "),
        ({"passed": -1.0}, (0.5, 2.0), "rho.passed=-1.0 must be a number of at least 0"),
        ({}, (2.0, 1.0), "lowest=2.0 must be at most highest=1.0"),
    ],
)
def test_weights_that_cannot_be_meant_are_refused(rho: Any, bounds: Any, sentence: str):
    with pytest.raises(UserError) as raised:
        WeightedByDiagnosis(rho, *bounds)
    assert str(raised.value).startswith(sentence)


def test_episodes_with_hints_are_compared_with_each_other_only():
    # All with hints pass and those without do not, but one: only that one, and the others without, have an advantage.
    group = [replace(episode(True), hints=hints) for hints in (True, False, True, False)]
    found = compared_by_kind(LeaveOneOut(), group, [1.0, 0.0, 1.0, 0.5])
    assert found == [[0.0], [-0.5], [0.0], [0.5]]


# The example of docs/credit.md: rewards 1, 1/2 and 0 (mean and sample std 1/2). To go: (1, 1/2), (1/2, 0) and (0).
# rloo: 1 - 1/4, 1/2 - 1/2, 0 - 3/4. turn: the same at turn 0; at turn 1, 1/2 - 0 and 0 - 1/2. Their root mean square is
# sqrt((2 * 9/16 + 2 * 1/4) / 5) = 0.5701, so half of 1.3156 and 0.8771 beside half of the outcomes 1, 0 and -1.
# diagnosis: -1 weighted by a missing call's 1.5. state: 1, 0 and -1 beside the outcomes; at turn 1, +-0.7071.
EXAMPLE: dict[str, tuple[Any, list[list[float]]]] = {
    "group": (GroupRelative(), [[1, 1], [0, 0], [-1]]),
    "rloo": (LeaveOneOut(), [[0.75, 0.75], [0, 0], [-0.75]]),
    "turn, exact": (RewardsToGo(outcome_weight=0.0, normalize=False), [[0.75, 0.5], [0, -0.5], [-0.75]]),
    "turn": (RewardsToGo(), [[1.1578, 0.9385], [0, -0.4385], [-1.1578]]),
    "diagnosis": (WeightedByDiagnosis({"missing_tool_call": 1.5}), [[1, 1], [0, 0], [-1.5]]),
    "state": (ByState(), [[2, 1.7071], [0, -0.7071], [-2]]),
}


@pytest.mark.parametrize("name", EXAMPLE)
def test_estimators_agree_with_the_example_of_the_documents(name: str):
    omitted = replace(episode(False).turns[0], ground_truth=(ToolCall("ls", {}),))
    third = replace(episode(), turns=(replace(omitted, state_digest="s"),))
    second = replace(episode(), turns=(*episode(True, states="s").turns, replace(omitted, state_digest="a")))
    estimate, expected = EXAMPLE[name]
    found = estimate([episode(True, True, states="sa"), second, third], [1.0, 0.5, 0.0])
    assert found == [pytest.approx(of_turns, abs=1e-4) for of_turns in expected]


# The toy: in turn 0 the agent goes on with probability p = sigmoid(a), or ends the episode. Turn 0 passes in any case;
# turn 1, if it happens, passes with probability q = sigmoid(b). The expected progress is J = (1 + p q) / 2.
P, Q = 0.3, 0.6
# (probability, episode, gradient of its log-probability in a, of each turn's action), likewise for b in turn 1.
OUTCOMES = [
    (1 - P, episode(True), [(-P, 0.0)]),
    (P * Q, episode(True, True), [(1 - P, 0.0), (0.0, 1 - Q)]),
    (P * (1 - Q), episode(True, False), [(1 - P, 0.0), (0.0, -Q)]),
]
EXACT = (P * (1 - P) * Q / 2, P * Q * (1 - Q) / 2)


def expected_gradient(estimate: Callable[..., list[list[float]]], size: int) -> tuple[float, float]:
    """Return the policy gradient, averaged over the members, in expectation over all groups of so many episodes."""
    gradient = [0.0, 0.0]
    for group in itertools.product(OUTCOMES, repeat=size):
        probability = math.prod(outcome[0] for outcome in group)
        episodes = [outcome[1] for outcome in group]
        advantages = estimate(episodes, [trajectory.progress for trajectory in episodes])
        for (_, _, scores), of_turns in zip(group, advantages, strict=True):
            for score, advantage in zip(scores, of_turns, strict=True):
                for parameter in (0, 1):
                    gradient[parameter] += probability * score[parameter] * advantage / size
    return gradient[0], gradient[1]


UNBIASED = {"turn": RewardsToGo(outcome_weight=0.0, normalize=False), "rloo": LeaveOneOut()}


@pytest.mark.parametrize("size", [2, 3, 4])
@pytest.mark.parametrize("name", UNBIASED)
def test_the_expected_gradient_is_exact_where_the_policy_decides_how_many_turns_there_are(name: str, size: int):
    assert expected_gradient(UNBIASED[name], size) == pytest.approx(EXACT, abs=1e-12)


def normalised_by_turn(trajectories: Sequence[Trajectory], rewards: Sequence[float]) -> list[list[float]]:
    """Return sums of turn rewards from which the mean of their own turn was subtracted first (verl issue 7244)."""
    own = [[turn.verdict.credit(TurnRule.METHOD) / t.turn_count for turn in t.turns] for t in trajectories]
    means = [fmean(row[index] for row in own if index < len(row)) for index in range(max(map(len, own)))]
    return [[sum(row[k] - means[k] for k in range(index, len(row))) for index in range(len(row))] for row in own]


@pytest.mark.parametrize("size", [2, 3, 4])
def test_a_baseline_for_each_turns_own_reward_pays_for_ending_early(size: int):
    # Going on earns q / 2 more; that estimator subtracts the mean of turn 1, so that going on earns nothing.
    going_on, _ = expected_gradient(normalised_by_turn, size)
    assert EXACT[0] == pytest.approx(0.063)
    assert abs(going_on) < 1e-12
