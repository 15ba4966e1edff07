"""Progress, binary and mixed: the rewards that count passed turns."""

from __future__ import annotations

import pytest
from played_episodes import answer, call, calls, episode, slip, turn

from envtune.errors import UserError
from envtune.reward import BinaryReward, MixedReward, ProgressReward

LS = call("ls")
PASSED = turn(calls(LS), answer(), ground_truth=[LS])
FAILED = turn(calls(LS), answer(), ground_truth=[LS], right=False)
ASKED = turn(answer())
CALLED_IN_VAIN = turn(calls(LS), answer())


@pytest.mark.parametrize(
    ("played", "progress", "binary"),
    [
        (episode(PASSED, FAILED, PASSED, ASKED), 3 / 4, 0),
        (episode(PASSED, ASKED), 1, 1),
        (episode(PASSED, CALLED_IN_VAIN), 1 / 2, 0),
        (episode(PASSED, turn_count=5), 1 / 5, 0),
        (episode(FAILED), 0, 0),
    ],
)
def test_progress_is_the_share_of_passed_turns_and_binary_asks_for_all(played, progress: float, binary: float):
    assert ProgressReward()(played).total == progress
    assert BinaryReward()(played).total == binary


def test_binary_judges_turns_without_ground_truth_where_bfcl_does_not():
    played = episode(PASSED, CALLED_IN_VAIN)
    assert played.success
    assert BinaryReward()(played).total == 0


NOT_CALLED = turn(answer(), ground_truth=[LS])


@pytest.mark.parametrize(
    ("played", "method", "official"),
    [
        # A call where none is due; all was done in an earlier turn; both, beside a turn that passes in either way.
        (episode(PASSED, CALLED_IN_VAIN), 1 / 2, 1),
        (episode(PASSED, NOT_CALLED), 1, 1 / 2),
        (episode(PASSED, CALLED_IN_VAIN, NOT_CALLED, FAILED), 2 / 4, 2 / 4),
        (episode(PASSED, ASKED, FAILED, turn_count=4), 2 / 4, 2 / 4),
    ],
)
def test_the_official_rule_judges_no_turn_without_ground_truth_and_asks_for_a_call_in_others(
    played, method: float, official: float
):
    assert ProgressReward("method")(played).total == method
    assert ProgressReward("official")(played).total == official
    assert MixedReward(progress=1, format=0, turn_rule="official")(played).total == official
    assert BinaryReward("official")(played).total == (official == 1)


def test_an_unknown_turn_rule_is_told_with_those_that_exist():
    with pytest.raises(UserError, match="turn_rule=bfcl is unknown: use one of method, official"):
        ProgressReward("bfcl")


def test_mixed_is_nine_tenths_progress_and_one_tenth_format():
    # 1 of 2 turns passed, 1 slip in 5 responses: 0.9 * 0.5 + 0.1 * 0.8.
    breakdown = MixedReward()(episode(turn(slip(), calls(LS), answer(), ground_truth=[LS]), FAILED))
    assert [(part.name, part.value, part.weight) for part in breakdown.parts] == [
        ("progress", 0.5, 0.9),
        ("format", 0.8, 0.1),
    ]
    assert breakdown.total == pytest.approx(0.53)


def test_mixed_takes_other_weights_and_refuses_negative_or_only_zero_ones():
    assert MixedReward(progress=2, format=0)(episode(PASSED)).total == 2
    with pytest.raises(UserError, match=r"progress=-0\.1 and format=1"):
        MixedReward(progress=-0.1, format=1)
    with pytest.raises(UserError, match="nor both 0"):
        MixedReward(progress=0, format=0)
