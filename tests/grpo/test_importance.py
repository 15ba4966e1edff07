import pytest
import torch

from envtune.grpo.importance import effective_sample_share, importance_weights


def weights_of(importance, ratios, cap=2.0):
    """Return the weights of each episode's tokens, given their ratios trainer / sampler."""
    of_tokens = [(episode, ratio) for episode, row in enumerate(ratios) for ratio in row]
    episodes, values = (torch.tensor(column) for column in zip(*of_tokens, strict=True))
    weights = importance_weights(values.log() - 1, torch.full(values.shape, -1.0), episodes, importance, cap)
    return [weights[episodes == episode].tolist() for episode in range(len(ratios))]


def close(weights, expected):
    assert [[pytest.approx(weight) for weight in row] for row in expected] == weights


def test_without_a_correction_every_weight_is_exactly_1():
    assert weights_of("none", [[3.0, 0.1]]) == [[1, 1]]


def test_token_weights_are_ratios_truncated_at_the_cap():
    close(weights_of("token", [[1.5, 3.0, 0.1]]), [[1.5, 2.0, 0.1]])


def test_sequence_weights_are_the_truncated_product_of_ratios():
    # 1.5 * 0.5 = 0.75; 1.5 * 1.5 = 2.25 is above the cap, their geometric mean would not be.
    close(weights_of("sequence", [[1.5, 0.5], [1.5, 1.5]]), [[0.75, 0.75], [2.0, 2.0]])


def test_an_overflowing_product_is_the_cap_and_an_underflowing_one_0():
    close(weights_of("sequence", [[1e30] * 4, [1e-30] * 4]), [[2.0] * 4, [0.0] * 4])


def test_mask_weights_are_ratios_within_the_caps_and_0_outside():
    close(weights_of("mask", [[1.9, 2.1, 0.51, 0.49]]), [[1.9, 0.0, 0.51, 0.0]])


@pytest.mark.parametrize("importance", ["none", "token", "sequence", "mask"])
def test_equal_log_probs_have_weight_exactly_1(importance):
    assert weights_of(importance, [[1.0, 1.0]]) == [[1, 1]]


@pytest.mark.parametrize("importance", ["token", "sequence", "mask"])
def test_weights_have_no_gradient(importance):
    old = torch.zeros(2, requires_grad=True)
    assert not importance_weights(old, torch.zeros(2), torch.tensor([0, 0]), importance, 2.0).requires_grad


def test_weights_do_not_depend_on_other_rows():
    rows = [[1.5, 0.9], [3.0, 0.2, 0.4]]
    assert weights_of("sequence", rows) == [weights_of("sequence", [row])[0] for row in rows]


def test_an_unknown_kind_is_refused_with_the_valid_ones():
    with pytest.raises(ValueError, match="'tis' is unknown; choose one of none, token, sequence, mask"):
        weights_of("tis", [[1.0]])


def test_an_episode_without_a_sampled_token_has_no_weight_and_does_not_disturb_the_next():
    weights = importance_weights(torch.zeros(1), torch.tensor([-1.0]), torch.tensor([3]), "sequence", 9.0)
    assert weights.tolist() == [pytest.approx(2.7182818)]
    nothing = torch.zeros(0)
    assert importance_weights(nothing, nothing, nothing.long(), "sequence", 9.0).tolist() == []


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
