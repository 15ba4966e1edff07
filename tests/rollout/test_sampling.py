import math

import numpy as np
import pytest
import torch

from envtune.rollout.hf.sampling import NonFiniteLogits, Sampling, inverse_cdf, nucleus


def test_uniform_numbers_are_mapped_by_the_inverse_distribution_function():
    # Cumulative 0.2, 0.7, 0.7, 1.0: token 2 has probability 0 and is never sampled.
    probabilities = torch.tensor([[0.2, 0.5, 0.0, 0.3]], dtype=torch.float64)
    uniforms = torch.tensor([0.0, 0.19, 0.2, 0.69, 0.71, 1 - 2**-53], dtype=torch.float64)
    assert inverse_cdf(probabilities.expand(6, 4), uniforms).tolist() == [0, 0, 1, 1, 3, 3]


def test_probabilities_need_not_be_normalised_and_the_last_token_may_be_impossible():
    probabilities = torch.tensor([[0.1, 0.1, 0.0]] * 3, dtype=torch.float64)
    uniforms = torch.tensor([0.49, 0.51, 1 - 2**-53], dtype=torch.float64)
    assert inverse_cdf(probabilities, uniforms).tolist() == [0, 1, 1]


@pytest.mark.parametrize(
    ("top_p", "kept"),
    [(1.0, [1, 1, 1, 1]), (0.81, [1, 1, 0, 1]), (0.79, [0, 1, 0, 1]), (0.5, [0, 1, 0, 0]), (0.01, [0, 1, 0, 0])],
)
def test_the_nucleus_is_the_smallest_set_that_reaches_top_p(top_p, kept):
    # Likeliest first: 0.5, 0.3, 0.15, 0.05 with sums 0.5, 0.8, 0.95, 1.
    probabilities = torch.tensor([[0.15, 0.5, 0.05, 0.3]], dtype=torch.float64)
    assert nucleus(probabilities, top_p)[0].tolist() == (probabilities[0] * torch.tensor(kept)).tolist()


def test_recorded_log_probs_are_of_the_whole_vocabulary_at_the_temperature():
    # At temperature 2 the odds 9 : 1 become 3 : 1. The nucleus leaves one token; its log-prob stays ln 0.75.
    logits = torch.tensor([[math.log(9.0), 0.0]])
    ids, logprobs = Sampling(2.0, 0.5, greedy=False).choose(logits, [0.9])
    assert ids == [0]
    assert logprobs == pytest.approx([math.log(0.75)], rel=1e-6)


def test_without_noise_the_likeliest_token_is_taken():
    ids, logprobs = Sampling(1.0, 1.0, greedy=True).choose(torch.tensor([[0.0, math.log(3.0)]]), [0.0])
    assert ids == [1]
    assert logprobs == pytest.approx([math.log(0.75)], rel=1e-6)


def test_frequencies_of_many_draws_follow_the_distribution():
    # Pearson's statistic over four tokens has 3 degrees of freedom; it exceeds 16.27 with probability 0.001.
    probabilities = torch.tensor([0.1, 0.2, 0.3, 0.4])
    noise = np.random.default_rng(0).random(4000).tolist()
    ids, _ = Sampling(1.0, 1.0, greedy=False).choose(probabilities.log().expand(4000, 4), noise)
    expected = 4000 * probabilities
    statistic = ((torch.bincount(torch.tensor(ids), minlength=4) - expected) ** 2 / expected).sum()
    assert statistic < 16.27


@pytest.mark.parametrize("top_p", [1.0, 0.9])
@pytest.mark.parametrize("greedy", [True, False])
@pytest.mark.parametrize("broken", [[math.nan, 0.0, 0.0], [math.inf, 0.0, 0.0], [-math.inf] * 3, [math.nan] * 3])
def test_non_finite_logits_are_refused(broken, greedy, top_p):
    sampling = Sampling(1.0, top_p, greedy)
    with pytest.raises(NonFiniteLogits, match="NaN or infinite"):
        sampling.choose(torch.tensor([[1.0, 2.0, 3.0], broken]), [0.5, 0.5])


@pytest.mark.parametrize("greedy", [True, False])
def test_a_token_with_logit_minus_infinity_is_allowed(greedy):
    ids, logprobs = Sampling(1.0, 1.0, greedy).choose(torch.tensor([[-math.inf, 0.0, -math.inf]]), [0.5])
    assert (ids, logprobs) == ([1], [0.0])
