import math
import random

import pytest
import torch

from envtune.grpo.loss import AGGREGATIONS, clipped_policy_loss, grpo_loss, k3_kl, token_weights

# The episodes of three sampled tokens: two of episode 0, one of episode 2; episode 1 has none.
EPISODES = torch.tensor([0, 0, 2])
ONE = torch.tensor([0])


def one_token(ratio: float, advantage: float):
    """Return the loss of a batch of one sampled token with this ratio."""
    logprobs = torch.tensor([math.log(ratio)])
    return clipped_policy_loss(logprobs, torch.zeros(1), torch.tensor([advantage]), token_weights(ONE))


def test_sequence_weights_are_1_over_tokens_over_sequences_with_tokens():
    # Two sequences have tokens: 1/2 each, the first shared by two tokens.
    assert token_weights(EPISODES).tolist() == [0.25, 0.25, 0.5]


def test_token_weights_are_1_over_all_tokens():
    torch.testing.assert_close(token_weights(EPISODES, "token-mean"), torch.ones(3) / 3)


def test_summed_sequences_are_averaged_whatever_their_length():
    # Each token of the mean over two sequences counts 1/2; by the constant 8 of the longest sequence, 1/16.
    assert token_weights(EPISODES, "seq-mean-token-sum").tolist() == [0.5] * 3
    assert token_weights(EPISODES, "seq-mean-token-sum-norm", max_tokens=8).tolist() == [0.0625] * 3


@pytest.mark.parametrize("aggregation", AGGREGATIONS)
def test_a_batch_without_sampled_tokens_has_no_weights(aggregation):
    assert token_weights(torch.tensor([], dtype=torch.int64), aggregation).tolist() == []


def test_an_unknown_aggregation_is_refused_with_the_valid_ones():
    with pytest.raises(ValueError, match="'mean' is unknown; choose one of seq-mean-token-mean, seq-mean-token-sum, "):
        token_weights(EPISODES, "mean")


@pytest.mark.parametrize(
    ("ratio", "advantage", "loss"),
    [
        (1.0, 1.0, -1.0),
        (1.5, 1.0, -1.28),  # the upper bound, 1 + 0.28
        (0.5, 1.0, -0.5),  # a lower ratio with A > 0 keeps its gradient
        (0.5, -1.0, 0.8),  # the lower bound, 1 - 0.2
        (1.5, -1.0, 1.5),  # a higher ratio with A < 0 keeps its gradient
        (20.0, -1.0, 10.0),  # … up to the dual clip
        (20.0, -0.5, 5.0),
        (20.0, 1.0, -1.28),
    ],
)
def test_the_clipped_loss_of_one_token_is_the_value_by_hand(ratio, advantage, loss):
    assert one_token(ratio, advantage).loss.item() == pytest.approx(loss, rel=1e-5)


def test_clips_are_counted_where_they_remove_the_gradient():
    def counted(ratio, advantage):
        result = one_token(ratio, advantage)
        return result.clip_low.item(), result.clip_high.item(), result.clip_dual.item()

    assert counted(0.5, -1.0) == (1, 0, 0)
    assert counted(0.5, 1.0) == (0, 0, 0)
    assert counted(1.5, 1.0) == (0, 1, 0)
    assert counted(1.5, -1.0) == (0, 0, 0)
    assert counted(20.0, -1.0) == (0, 0, 1)
    assert one_token(1.5, 1.0).ratio.item() == pytest.approx(1.5)


def test_k3_of_a_reference_twice_as_likely():
    # d = ln 2: 2 - 0.6931 - 1 = 0.3069; half as likely: 0.5 + 0.6931 - 1 = 0.1931
    values = k3_kl(torch.tensor([-1.0, -1.0, -1.0]), torch.tensor([-1.0 + math.log(2), -1.0 - math.log(2), -1.0]))
    torch.testing.assert_close(values, torch.tensor([0.3068528, 0.1931472, 0.0]))


def test_a_clamped_token_counts_10_nats_and_has_no_gradient():
    # d = 8: exp(8) - 9 = 2971.96, with the gradient 1 - exp(8) = -2979.96; d = ln 2: 0.3069 and 1 - 2 = -1.
    # Of 20,000 tokens of which the others have d = ln 2, this one has 13% of the plain formula's gradient.
    differences = torch.tensor([8.0, math.log(2)])
    for clamp, values, gradients in (
        (None, [2971.958, 0.3068528], [-2979.958, -1.0]),
        (10.0, [10.0, 0.3068528], [0.0, -1.0]),
    ):
        logprobs = torch.tensor([-9.0, -1.0], requires_grad=True)
        estimate = k3_kl(logprobs, logprobs.detach() + differences, clamp)
        estimate.sum().backward()
        torch.testing.assert_close(estimate.detach(), torch.tensor(values))
        torch.testing.assert_close(logprobs.grad, torch.tensor(gradients))


def test_the_clamp_acts_from_the_log_ratio_at_which_k3_is_10():
    # exp(2.6109) - 2.6109 - 1 = 10.00; below zero exp(d) vanishes, and -d - 1 = 10 at d = -11.
    assert k3_kl(torch.zeros(4), torch.tensor([2.60, 2.62, -10.9, -11.1]), 10.0).tolist() == [
        pytest.approx(math.exp(2.60) - 3.60, rel=1e-5),
        10.0,
        pytest.approx(9.9, rel=1e-4),
        10.0,
    ]


def test_extreme_ratios_stay_finite():
    assert one_token(1.0, 1.0).loss.isfinite()
    far = torch.tensor([-1e4])
    # The ratio exp(1e4) is limited to exp(20); the dual clip then limits the loss to 10.
    risen = clipped_policy_loss(-far, far, torch.tensor([-1.0]), token_weights(ONE))
    assert risen.loss.item() == pytest.approx(10.0)
    assert k3_kl(far, torch.zeros(1)).item() == pytest.approx(math.exp(20) - 21, rel=1e-5)


def test_the_objective_adds_kl_and_subtracts_entropy():
    # policy -1 (ratio 1, A 1); kl 0.3069; entropy 2: total = -1 + 0.1 * 0.3069 - 0.001 * 2
    logprobs = torch.tensor([-1.0])
    inputs = logprobs, logprobs, logprobs + math.log(2), torch.tensor([2.0]), torch.tensor([1.0]), token_weights(ONE)
    parts = grpo_loss(*inputs, ONE)
    assert parts.total.item() == pytest.approx(-1 + 0.1 * 0.3068528 - 0.002, rel=1e-6)
    assert parts.policy.item() == pytest.approx(-1.0)
    assert parts.kl.item() == pytest.approx(0.3068528, rel=1e-5)
    assert parts.entropy.item() == pytest.approx(2.0)


def by_hand(logprobs, behaviour, reference, entropy, advantages, beta, entropy_coef):
    """Return the objective from the paper's formula in float64 loops over episodes of tokens."""
    played = [tokens for tokens in logprobs if tokens]
    total = 0.0
    for b, tokens in enumerate(logprobs):
        for t, logprob in enumerate(tokens):
            ratio, advantage = math.exp(logprob - behaviour[b][t]), advantages[b][t]
            gain = min(ratio * advantage, min(max(ratio, 0.8), 1.28) * advantage)
            if advantage < 0:
                gain = max(gain, 10 * advantage)
            d = reference[b][t] - logprob
            kl = min(10.0, math.exp(d) - d - 1)
            total += (-gain + beta * kl - entropy_coef * entropy[b][t]) / len(tokens) / len(played)
    return total


COLUMNS = ("logprobs", "behaviour", "reference", "entropy", "advantages")


def random_batch(lengths=(3, 5, 0, 1, 4)):
    """Return columns of episodes of so many tokens; log-ratios of some units reach every clip and the clamp."""
    draw = random.Random(3)
    return {name: [[draw.gauss(0, 2) for _ in range(length)] for length in lengths] for name in COLUMNS}


def flat(batch):
    """Return the columns and the episodes of a random batch's tokens."""
    episodes = torch.tensor([b for b, tokens in enumerate(batch["logprobs"]) for _ in tokens])
    return [torch.tensor([value for row in batch[name] for value in row]) for name in COLUMNS], episodes


def test_the_objective_equals_float64_loops_and_so_do_its_micro_batches():
    batch = random_batch()
    expected = by_hand(**batch, beta=0.1, entropy_coef=0.001)
    columns, episodes = flat(batch)
    weights = token_weights(episodes)
    assert grpo_loss(*columns, weights, episodes).total.item() == pytest.approx(expected, rel=1e-5)
    parts = []
    for rows in ([0, 3], [1], [2, 4]):
        chosen = torch.isin(episodes, torch.tensor(rows))
        micro = grpo_loss(*(column[chosen] for column in columns), weights[chosen], episodes[chosen])
        parts.append(micro.total.item())
    assert sum(parts) == pytest.approx(expected, rel=1e-5)


def test_the_gradient_of_an_unclipped_token_is_its_weight_times_advantage_times_ratio():
    logprobs = torch.tensor([math.log(1.1), math.log(1.5)], requires_grad=True)
    weights = token_weights(torch.tensor([0, 0]))
    result = clipped_policy_loss(logprobs, torch.zeros(2), torch.tensor([2.0, 2.0]), weights)
    result.loss.backward()
    # -0.5 * 2 * 1.1 for the first; the second is above 1.28 and has no gradient.
    torch.testing.assert_close(logprobs.grad, torch.tensor([-1.1, 0.0]))


def corrected(importance, ratios=(1.5, 4.0), advantage=2.0, cap=3.0, **settings):
    """Return loss parts and gradient of two tokens with log-prob ln 0.5 and these ratios trainer / sampler."""
    logprobs = torch.full((2,), math.log(0.5), requires_grad=True)
    behaviour = logprobs.detach() - torch.tensor([*map(math.log, ratios)])
    reference = logprobs.detach() + math.log(2)
    episodes = torch.tensor([0, 0])
    inputs = logprobs, behaviour, reference, torch.ones(2), torch.tensor([advantage] * 2), token_weights(episodes)
    parts = grpo_loss(*inputs, episodes, importance=importance, importance_cap=cap, **settings)
    parts.total.backward()
    return parts, logprobs.grad


@pytest.mark.parametrize(
    ("importance", "weights"),
    [("token", [1.5, 3.0]), ("sequence", [3.0, 3.0]), ("mask", [1.5, 0.0])],  # ratios 1.5 and 4, product 6, cap 3
)
@pytest.mark.parametrize("advantage", [2.0, -2.0])
def test_a_correction_multiplies_each_term_and_clips_against_the_trainer(importance, weights, advantage):
    parts, gradient = corrected(importance, advantage=advantage, beta=0.0, entropy_coef=0.0)
    # pi / pi_old is 1: no clip acts, though 1.5 and 4 are above 1.28. The divisor stays two tokens.
    assert parts.policy.item() == pytest.approx(-advantage * sum(weights) / 2)
    torch.testing.assert_close(gradient, -advantage / 2 * torch.tensor(weights))
    assert (parts.clip_low, parts.clip_high, parts.clip_dual) == (0, 0, 0)


def test_without_a_correction_the_clip_is_against_the_sampler():
    parts, gradient = corrected("none", ratios=(1.25, 4.0), beta=0.0, entropy_coef=0.0)
    # 1.25 is within the clip range and 4 is clipped to 1.28; each has weight 1/2 and advantage 2.
    assert parts.policy.item() == pytest.approx(-1.25 - 1.28)
    torch.testing.assert_close(gradient, torch.tensor([-1.25, 0.0]))


def test_kl_and_entropy_are_not_weighted():
    # Both tokens are masked; the KL's gradient is still beta * (1 - pi_ref / pi) = 0.1 * (1 - 2), half per token.
    parts, gradient = corrected("mask", ratios=(5.0, 0.1), beta=0.1, entropy_coef=0.001)
    assert parts.policy == 0
    assert parts.kl.item() == pytest.approx(1 - math.log(2))
    assert parts.entropy.item() == pytest.approx(1)
    torch.testing.assert_close(gradient, torch.tensor([-0.05, -0.05]))


def test_different_shapes_are_refused_under_the_tests():
    with pytest.raises(Exception, match=r"(?i)type"):
        k3_kl(torch.zeros(2, 3), torch.zeros(3, 2))
