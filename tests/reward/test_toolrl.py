from __future__ import annotations

from itertools import permutations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from played_episodes import answer, call, calls, episode, slip, turn

from envtune.reward import ToolRLReward
from envtune.reward.toolrl import best_matching, correctness, turn_correctness

CP = call("cp", source="a", destination="b")
LS = call("ls")


def test_the_ground_truth_itself_scores_three():
    assert turn_correctness(turn(calls(LS), calls(CP), answer(), ground_truth=[CP, LS])) == 3


def test_no_call_scores_minus_three():
    assert turn_correctness(turn(answer(), ground_truth=[CP])) == -3


def test_names_parameters_and_values_add_up():
    # S_max = 1 + 1 + 2 = 4. Names {cp}, {cp, ls}: 1/2. Keys {source, destination}, {source, to}: 1/3. One value: 1.
    made = turn(calls(LS, call("cp", source="a", to="b")), answer(), ground_truth=[CP])
    assert turn_correctness(made) == pytest.approx(6 * (1 / 2 + 1 / 3 + 1) / 4 - 3)


def test_calls_of_one_tool_are_matched_to_the_best_total():
    # Taking the first made call for the first wanted one would leave f(a=1, b=1) without its twin.
    wanted = [call("f", a=1, b=2), call("f", a=1, b=1)]
    made = turn(calls(call("f", a=1, b=1)), calls(call("f", a=3, b=2)), answer(), ground_truth=wanted)
    # S_max = 1 + 2 + 4 = 7: names 1, keys 2, values 1 + 2.
    assert turn_correctness(made) == pytest.approx(6 * 6 / 7 - 3)


def test_failed_and_superfluous_calls_of_a_wanted_tool_cost_nothing():
    made = turn(calls(failed=[call("cp", source="a/b", destination="b")]), calls(CP, CP), answer(), ground_truth=[CP])
    assert turn_correctness(made) == 3


def test_one_is_one_point_zero_but_not_true():
    wanted = [call("f", a=1)]
    assert turn_correctness(turn(calls(call("f", a=1.0)), answer(), ground_truth=wanted)) == 3
    assert turn_correctness(turn(calls(call("f", a=True)), answer(), ground_truth=wanted)) == pytest.approx(
        6 * 2 / 3 - 3
    )


def test_the_mean_leaves_out_turns_without_ground_truth_and_counts_turns_never_reached_as_missed():
    perfect, idle = turn(calls(LS), answer(), ground_truth=[LS]), turn(answer())
    assert correctness(episode(perfect, idle)) == 3
    assert correctness(episode(perfect, idle, turn_count=3)) == 0
    assert correctness(episode(idle)) == 0


def test_the_reward_is_format_plus_correctness():
    breakdown = ToolRLReward()(episode(turn(slip(), answer(), ground_truth=[LS])))
    assert {part.name: part.value for part in breakdown.parts} == {"format": 0.5, "correct": -3}
    assert breakdown.total == -2.5


def test_matching_on_paper():
    assert best_matching([]) == 0
    assert best_matching([[], []]) == 0
    assert best_matching([[3.0, 2.0], [3.0, 0.0]]) == 5
    assert best_matching([[2.0], [3.0], [1.0]]) == 3


scores = st.integers(0, 4).flatmap(
    lambda columns: st.lists(st.lists(st.integers(0, 5), min_size=columns, max_size=columns), max_size=4)
)


@given(scores)
def test_matching_is_the_best_of_all_matchings(scores: list[list[int]]):
    columns = len(scores[0]) if scores else 0
    padded = [[*row, *[0] * len(scores)] for row in scores]
    choices = permutations(range(columns + len(scores)), len(scores))
    totals = [sum(row[column] for row, column in zip(padded, chosen, strict=True)) for chosen in choices]
    assert best_matching(scores) == max(totals)
