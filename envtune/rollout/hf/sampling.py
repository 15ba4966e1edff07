"""Sampling of tokens from logits and uniform numbers: temperature, nucleus, inverse CDF. Functions of tensors."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor


class NonFiniteLogits(ArithmeticError):
    """A model's logits do not define a distribution: NaN, +inf, or -inf for every token."""


def nucleus(probabilities: Float[Tensor, "row vocabulary"], top_p: float) -> Float[Tensor, "row vocabulary"]:
    """Zero all tokens outside the smallest set of likeliest tokens with a total probability of ``top_p`` or more.

    Holtzman et al. 2020 (arXiv 1904.09751), section 3.1, without renormalisation. The likeliest token always stays.
    """
    if top_p >= 1.0:
        return probabilities
    ordered, order = probabilities.sort(dim=-1, descending=True, stable=True)
    likelier = ordered.cumsum(dim=-1) - ordered
    outside = torch.zeros_like(probabilities, dtype=torch.bool).scatter(-1, order, likelier >= top_p)
    return probabilities.masked_fill(outside, 0.0)


def inverse_cdf(probabilities: Float[Tensor, "row vocabulary"], uniforms: Float[Tensor, "row"]) -> Int[Tensor, "row"]:
    """Return the first token whose cumulative probability, in vocabulary order, exceeds ``uniforms`` times the total.

    Tokens with probability 0 are never returned; NaN probabilities return the last token.

    Args:
        probabilities: need not be normalised.
        uniforms: in [0, 1).
    """
    cumulative = probabilities.cumsum(dim=-1)
    total = cumulative[:, -1:].contiguous()
    chosen = torch.searchsorted(cumulative, uniforms[:, None].to(cumulative) * total, right=True)
    # Rounding can lift u * total to the total itself, past the last token.
    last_possible = torch.searchsorted(cumulative, total, right=False)
    # NaN sorts after every number, and an id past the last token would end the process on a GPU.
    return torch.minimum(chosen, last_possible).clamp_max(cumulative.shape[-1] - 1)[:, 0]


@dataclass(frozen=True, slots=True)
class Sampling:
    """The settings of one batch."""

    temperature: float
    top_p: float
    greedy: bool
    """Ignore the noise and take the likeliest token."""

    def choose(self, logits: Float[Tensor, "row vocabulary"], noise: Sequence[float]) -> tuple[list[int], list[float]]:
        """Return a token id and its log-prob (nats) for each row, given one number in [0, 1) per row.

        The log-prob covers the whole vocabulary at ``temperature``, before the nucleus cut, as the trainer recomputes
        it.

        Raises:
            NonFiniteLogits: a row's logits do not define a distribution.
        """
        logprobs = torch.log_softmax(logits.float() / self.temperature, dim=-1)
        if self.greedy:
            ids = logprobs.argmax(dim=-1)
        else:
            # float64: in float32, rounding in a sum over 150,000 tokens would distort the rare ones.
            uniforms = torch.tensor(noise, dtype=torch.float64)
            ids = inverse_cdf(nucleus(logprobs.double().exp(), self.top_p), uniforms)
        likelihoods = logprobs.gather(-1, ids[:, None])[:, 0].tolist()
        # One such logit makes every log-prob of its row NaN, so checking the chosen ones is enough.
        if not all(map(math.isfinite, likelihoods)):
            raise NonFiniteLogits("the model's logits are NaN or infinite: no token can be sampled from them")
        return ids.tolist(), likelihoods
