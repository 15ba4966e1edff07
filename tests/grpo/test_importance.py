import math

import pytest
import torch

from envtune.grpo.importance import effective_sample_share, importance_weights


def weights_of(importance, ratios, cap=2.0):
    """Return the weights for rows of ratios trainer / sampler; None is not sampled, with NaN on both sides."""
    mask = torch.tensor([[ratio is not None for ratio in row] for row in ratios])
    old = torch.tensor([[math.nan if ratio is None else math.log(ratio) - 1 for ratio in row] for row in ratios])
    behaviour = torch.where(mask, -1.0, math.nan)
    return importance_weights(old, behaviour, mask, importance, cap)


def close(weights, expected):
    torch.testing.assert_close(weights, torch.tensor(expected))


def test_without_a_correction_every_weight_is_exactly_1():
    assert weights_of("none", [[None, 3.0, 0.1]]).tolist() == [[0, 1, 1]]


def test_token_weights_are_ratios_truncated_at_the_cap():
    close(weights_of("token", [[None, 1.5, 3.0, 0.1]]), [[0.0, 1.5, 2.0, 0.1]])


def test_sequence_weights_are_the_truncated_product_of_ratios():
    # 1.5 * 0.5 = 0.75; 1.5 * 1.5 = 2.25 is above the cap, their geometric mean would not be.
    close(weights_of("sequence", [[1.5, None, 0.5], [1.5, 1.5, None]]), [[0.75, 0.0, 0.75], [2.0, 2.0, 0.0]])


def test_an_overflowing_product_is_the_cap_and_an_underflowing_one_0():
    close(weights_of("sequence", [[1e30] * 4, [1e-30] * 4]), [[2.0] * 4, [0.0] * 4])


def test_mask_weights_are_ratios_within_the_caps_and_0_outside():
    close(weights_of("mask", [[None, 1.9, 2.1, 0.51, 0.49]]), [[0.0, 1.9, 0.0, 0.51, 0.0]])


@pytest.mark.parametrize("importance", ["none", "token", "sequence", "mask"])
def test_equal_log_probs_have_weight_exactly_1(importance):
    assert weights_of(importance, [[1.0, None, 1.0]]).tolist() == [[1, 0, 1]]


@pytest.mark.parametrize("importance", ["token", "sequence", "mask"])
def test_weights_have_no_gradient(importance):
    old = torch.zeros(1, 2, requires_grad=True)
    mask = torch.ones(1, 2, dtype=torch.bool)
    assert not importance_weights(old, torch.zeros(1, 2), mask, importance, 2.0).requires_grad


def test_weights_do_not_depend_on_other_rows():
    rows = [[1.5, 0.9, None], [3.0, None, 0.2]]
    together = weights_of("sequence", rows)
    assert together.equal(torch.cat([weights_of("sequence", [row]) for row in rows]))


def test_an_unknown_kind_is_refused_with_the_valid_ones():
    with pytest.raises(ValueError, match="'tis' is unknown; choose one of none, token, sequence, mask"):
        weights_of("tis", [[1.0]])


@pytest.mark.parametrize(
    ("weights", "share"),
    [
        ([2.0, 2.0, 2.0], 1.0),
        ([1.0, 0.0, 0.0, 0.0], 0.25),
        ([1.0, 3.0], 16 / 10 / 2),
        ([0.0, 0.0], 0.0),
        ([1e-30, 3e-30], 16 / 10 / 2),  # squares of these are zero in float32
    ],
)
def test_effective_sample_share(weights, share):
    assert effective_sample_share(torch.tensor(weights)) == pytest.approx(share)
