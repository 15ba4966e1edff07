from __future__ import annotations

import pytest
from played_episodes import answer, call, calls, episode, slip, turn

from envtune.reward import FormatReward

LS = call("ls")


def test_format_and_tool_shares_are_added_over_the_whole_episode():
    # 5 responses with 1 slip: 4/5. 4 calls with 1 failure: 3/4.
    played = episode(
        turn(slip(), calls(LS, LS), answer(), ground_truth=[LS]),
        turn(calls(LS, failed=[LS]), answer(), ground_truth=[LS]),
    )
    breakdown = FormatReward()(played)
    assert {part.name: part.value for part in breakdown.parts} == {"format": pytest.approx(4 / 5), "tool": 3 / 4}
    assert breakdown.total == pytest.approx(1.55)


def test_an_episode_without_a_tool_call_earns_nothing_however_well_formed():
    breakdown = FormatReward()(episode(turn(answer(), ground_truth=[LS])))
    assert [(part.name, part.value, part.weight) for part in breakdown.parts] == [("format", 1, 0), ("tool", 0, 0)]
    assert breakdown.total == 0


def test_failed_calls_alone_still_earn_the_format_part():
    assert FormatReward()(episode(turn(calls(failed=[LS]), answer(), ground_truth=[LS]))).total == 1


def test_perfect_play_earns_two():
    assert FormatReward()(episode(turn(calls(LS), answer(), ground_truth=[LS]))).total == 2
