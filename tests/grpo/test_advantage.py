import pytest
import torch

from envtune.grpo.advantage import group_relative_advantages, zero_variance


def test_advantage_is_the_deviation_over_the_sample_standard_deviation():
    # mean 0.5; sample variance 4 * 0.25 / 3 = 1/3, so 0.5 / sqrt(1/3) = 0.8660
    advantages = group_relative_advantages(torch.tensor([[1.0, 0.0, 0.0, 1.0]]), eps=0.0)
    torch.testing.assert_close(advantages, torch.tensor([[0.8660254, -0.8660254, -0.8660254, 0.8660254]]))


def test_groups_are_normalised_separately():
    # Two rewards d apart: deviations d/2, sample std d/sqrt(2), so +-0.7071 whatever the group's level and scale.
    advantages = group_relative_advantages(torch.tensor([[0.0, 1.0], [10.0, 30.0]]), eps=0.0)
    torch.testing.assert_close(advantages, torch.tensor([[-0.7071068, 0.7071068], [-0.7071068, 0.7071068]]))


def test_eps_is_added_to_the_standard_deviation():
    # deviations +-1, sample std sqrt(2); (sqrt(2) + eps) = 2 gives +-0.5
    advantages = group_relative_advantages(torch.tensor([[0.0, 2.0]]), eps=2.0 - 2.0**0.5)
    torch.testing.assert_close(advantages, torch.tensor([[-0.5, 0.5]]))


def test_equal_rewards_give_exactly_0_even_if_their_mean_rounds():
    rewards = torch.full((1, 7), 0.1)
    assert group_relative_advantages(rewards).tolist() == [[0.0] * 7]


def test_zero_variance_is_true_only_where_all_rewards_are_equal():
    rewards = torch.tensor([[0.3, 0.3, 0.3], [0.3, 0.3, 0.4], [0.0, 0.0, 0.0]])
    assert zero_variance(rewards).tolist() == [True, False, True]


def test_a_group_of_one_is_refused():
    with pytest.raises(ValueError, match="group size of 2 or more"):
        group_relative_advantages(torch.tensor([[1.0], [2.0]]))
