import math
import random

import pytest
import torch

from envtune.grpo.loss import clipped_policy_loss, grpo_loss, k3_kl, token_weights

MASK = torch.tensor([[False, True, True, False], [False, True, False, False], [False, False, False, False]])


def one_token(ratio: float, advantage: float):
    """Return the loss of a sampled token with this ratio, after a token that was not sampled."""
    logprobs = torch.tensor([[0.0, math.log(ratio)]])
    mask = torch.tensor([[False, True]])
    return clipped_policy_loss(logprobs, torch.zeros(1, 2), torch.tensor([advantage]), token_weights(mask), mask)


def test_sequence_weights_are_1_over_tokens_over_sequences_with_tokens():
    # Two sequences have tokens: 1/2 each, the first shared by two tokens; the third row does not count.
    assert token_weights(MASK).tolist() == [[0, 0.25, 0.25, 0], [0, 0.5, 0, 0], [0, 0, 0, 0]]


def test_token_weights_are_1_over_all_tokens():
    expected = torch.tensor([[0, 1, 1, 0], [0, 1, 0, 0], [0, 0, 0, 0]]) / 3
    torch.testing.assert_close(token_weights(MASK, "token-mean"), expected)


def test_a_batch_without_sampled_tokens_has_weight_0():
    nothing = torch.zeros(2, 3, dtype=torch.bool)
    assert token_weights(nothing).sum() == 0
    assert token_weights(nothing, "token-mean").sum() == 0


def test_an_unknown_aggregation_is_refused_with_the_valid_ones():
    with pytest.raises(ValueError, match="'mean' is unknown; choose one of seq-mean-token-mean, token-mean"):
        token_weights(MASK, "mean")


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


def test_extreme_ratios_stay_finite():
    assert one_token(1.0, 1.0).loss.isfinite()
    far = torch.tensor([[0.0, -1e4]])
    mask = torch.tensor([[False, True]])
    weights = token_weights(mask)
    # The ratio exp(1e4) is limited to exp(20); the dual clip then limits the loss to 10.
    risen = clipped_policy_loss(-far, far, torch.tensor([-1.0]), weights, mask)
    assert risen.loss.item() == pytest.approx(10.0)
    assert k3_kl(far, torch.zeros(1, 2))[0, 1].item() == pytest.approx(math.exp(20) - 21, rel=1e-5)


def test_the_objective_adds_kl_and_subtracts_entropy():
    # policy -1 (ratio 1, A 1); kl 0.3069; entropy 2: total = -1 + 0.1 * 0.3069 - 0.001 * 2
    mask = torch.tensor([[False, True]])
    logprobs = torch.tensor([[0.0, -1.0]])
    reference = logprobs + math.log(2)
    entropy = torch.tensor([[9.0, 2.0]])
    parts = grpo_loss(logprobs, logprobs, reference, entropy, torch.tensor([1.0]), token_weights(mask), mask)
    assert parts.total.item() == pytest.approx(-1 + 0.1 * 0.3068528 - 0.002, rel=1e-6)
    assert parts.policy.item() == pytest.approx(-1.0)
    assert parts.kl.item() == pytest.approx(0.3068528, rel=1e-5)
    assert parts.entropy.item() == pytest.approx(2.0)


def by_hand(logprobs, behaviour, reference, entropy, advantages, mask, beta, entropy_coef):
    """Return the objective from the paper's formula in float64 loops."""
    rows = [[t for t, sampled in enumerate(row) if sampled] for row in mask]
    played = [tokens for tokens in rows if tokens]
    total = 0.0
    for b, tokens in enumerate(rows):
        for t in tokens:
            ratio = math.exp(logprobs[b][t] - behaviour[b][t])
            clipped = min(max(ratio, 0.8), 1.28)
            gain = min(ratio * advantages[b], clipped * advantages[b])
            if advantages[b] < 0:
                gain = max(gain, 10 * advantages[b])
            d = reference[b][t] - logprobs[b][t]
            kl = math.exp(d) - d - 1
            total += (-gain + beta * kl - entropy_coef * entropy[b][t]) / len(tokens) / len(played)
    return total


BAD = ("nan", "inf", "-inf", "nan")


def random_batch(rows=5, length=7):
    draw = random.Random(3)

    def table(scale):
        return [[draw.gauss(0, scale) for _ in range(length)] for _ in range(rows)]

    mask = [[t > 0 and draw.random() < 0.5 for t in range(length)] for _ in range(rows - 1)] + [[False] * length]
    return {
        "logprobs": table(1.0),
        "behaviour": table(1.0),
        "reference": table(1.0),
        "entropy": table(1.0),
        "advantages": [draw.gauss(0, 1) for _ in range(rows)],
        "mask": mask,
    }


def test_the_objective_equals_float64_loops_and_so_do_its_micro_batches():
    batch = random_batch()
    expected = by_hand(**batch, beta=0.1, entropy_coef=0.001)
    mask = torch.tensor(batch["mask"])
    columns = [torch.tensor(batch[name]) for name in ("logprobs", "behaviour", "reference", "entropy", "advantages")]
    weights = token_weights(mask)
    assert grpo_loss(*columns, weights, mask).total.item() == pytest.approx(expected, rel=1e-5)
    parts = [
        grpo_loss(*(column[rows] for column in columns), weights[rows], mask[rows]).total.item()
        for rows in ([0, 3], [1], [2, 4])
    ]
    assert sum(parts) == pytest.approx(expected, rel=1e-5)


def test_nan_outside_the_completion_mask_changes_neither_loss_nor_gradient():
    batch = random_batch()
    mask = torch.tensor(batch["mask"])
    names = ("logprobs", "behaviour", "reference", "entropy")
    clean = [torch.tensor(batch[name]).masked_fill(~mask, 0.0) for name in names]
    dirty = [column.masked_fill(~mask, float(bad)) for column, bad in zip(clean, BAD, strict=True)]
    advantages = torch.tensor(batch["advantages"])
    unplayed = advantages.clone()
    unplayed[-1] = float("nan")
    logprobs = dirty[0].requires_grad_()
    entropy = dirty[3].requires_grad_()
    loss = grpo_loss(logprobs, *dirty[1:3], entropy, unplayed, token_weights(mask), mask).total
    loss.backward()
    assert loss.item() == pytest.approx(by_hand(**batch, beta=0.1, entropy_coef=0.001), rel=1e-5)
    for gradient in (logprobs.grad, entropy.grad):
        assert (gradient[~mask] == 0).all()
        assert gradient[mask].isfinite().all()


def test_the_gradient_of_an_unclipped_token_is_its_weight_times_advantage_times_ratio():
    mask = torch.tensor([[False, True, True]])
    logprobs = torch.tensor([[0.0, math.log(1.1), math.log(1.5)]], requires_grad=True)
    result = clipped_policy_loss(logprobs, torch.zeros(1, 3), torch.tensor([2.0]), token_weights(mask), mask)
    result.loss.backward()
    # -0.5 * 2 * 1.1 for the first; the second is above 1.28 and has no gradient.
    torch.testing.assert_close(logprobs.grad, torch.tensor([[0.0, -1.1, 0.0]]))


def corrected(importance, ratios=(1.5, 4.0), advantages=(2.0,), cap=3.0, **settings):
    """Return loss parts and gradient of two tokens with log-prob ln 0.5 and these ratios trainer / sampler."""
    mask = torch.tensor([[False, True, True]])
    logprobs = torch.full((1, 3), math.log(0.5), requires_grad=True)
    behaviour = logprobs.detach() - torch.tensor([[0.0, *map(math.log, ratios)]])
    reference = logprobs.detach() + math.log(2)
    inputs = logprobs, behaviour, reference, torch.ones(1, 3), torch.tensor(advantages)
    parts = grpo_loss(*inputs, token_weights(mask), mask, importance=importance, importance_cap=cap, **settings)
    parts.total.backward()
    return parts, logprobs.grad


@pytest.mark.parametrize(
    ("importance", "weights"),
    [("token", [1.5, 3.0]), ("sequence", [3.0, 3.0]), ("mask", [1.5, 0.0])],  # ratios 1.5 and 4, product 6, cap 3
)
@pytest.mark.parametrize("advantage", [2.0, -2.0])
def test_a_correction_multiplies_each_term_and_clips_against_the_trainer(importance, weights, advantage):
    parts, gradient = corrected(importance, advantages=(advantage,), beta=0.0, entropy_coef=0.0)
    # pi / pi_old is 1: no clip acts, though 1.5 and 4 are above 1.28. The divisor stays two tokens.
    assert parts.policy.item() == pytest.approx(-advantage * sum(weights) / 2)
    torch.testing.assert_close(gradient, -advantage / 2 * torch.tensor([[0.0, *weights]]))
    assert (parts.clip_low, parts.clip_high, parts.clip_dual) == (0, 0, 0)


def test_without_a_correction_the_clip_is_against_the_sampler():
    parts, gradient = corrected("none", ratios=(1.25, 4.0), beta=0.0, entropy_coef=0.0)
    # 1.25 is within the clip range and 4 is clipped to 1.28; each has weight 1/2 and advantage 2.
    assert parts.policy.item() == pytest.approx(-1.25 - 1.28)
    torch.testing.assert_close(gradient, torch.tensor([[0.0, -1.25, 0.0]]))


def test_kl_and_entropy_are_not_weighted():
    # Both tokens are masked; the KL's gradient is still beta * (1 - pi_ref / pi) = 0.1 * (1 - 2), half per token.
    parts, gradient = corrected("mask", ratios=(5.0, 0.1), beta=0.1, entropy_coef=0.001)
    assert parts.policy == 0
    assert parts.kl.item() == pytest.approx(1 - math.log(2))
    assert parts.entropy.item() == pytest.approx(1)
    torch.testing.assert_close(gradient, torch.tensor([[0.0, -0.05, -0.05]]))


@pytest.mark.parametrize("importance", ["none", "token", "sequence", "mask"])
def test_nan_outside_the_completion_mask_does_not_affect_a_correction(importance):
    batch = random_batch()
    mask = torch.tensor(batch["mask"])
    names = ("logprobs", "behaviour", "reference", "entropy")
    clean = [torch.tensor(batch[name]) for name in names]
    dirty = [column.masked_fill(~mask, float(bad)) for column, bad in zip(clean, BAD, strict=True)]
    advantages, weights = torch.tensor(batch["advantages"]), token_weights(mask)

    def loss_and_gradient(columns):
        logprobs = columns[0].clone().requires_grad_()
        loss = grpo_loss(logprobs, *columns[1:], advantages, weights, mask, importance=importance).total
        loss.backward()
        return loss, logprobs.grad

    torch.testing.assert_close(loss_and_gradient(dirty), loss_and_gradient(clean), rtol=0, atol=0)


def test_different_shapes_are_refused_under_the_tests():
    with pytest.raises(Exception, match=r"(?i)type"):
        k3_kl(torch.zeros(2, 3), torch.zeros(3, 2))
