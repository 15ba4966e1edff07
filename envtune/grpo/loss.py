"""The training objective as functions of tensors: clipped policy loss, KL estimate, entropy, aggregation.

Shapes: B rows (trajectories), L tokens. Sums over tokens use ``weights`` that sum to 1 over the whole batch, so the
results of micro-batches, each a slice of those weights, add up to the batch's exactly. Nothing outside the completion
mask reaches a value or a gradient, even if it is NaN. This file runs no model.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from envtune.grpo.importance import NONE, importance_weights

SEQ_MEAN_TOKEN_MEAN = "seq-mean-token-mean"
TOKEN_MEAN = "token-mean"
AGGREGATIONS = (SEQ_MEAN_TOKEN_MEAN, TOKEN_MEAN)

# exp(20) = 4.9e8: far outside every clip range, yet its products stay finite in float32.
MAX_LOG_RATIO = 20.0


@dataclass(frozen=True, slots=True, eq=False)
class PolicyLoss:
    """The clipped policy loss and what its clips did. All scalars, weighted sums over sampled tokens.

    ``clip_low``, ``clip_high``: share of tokens that the lower or upper bound takes out of the gradient (A < 0 with a
    ratio below 1 - clip_low; A > 0 with a ratio above 1 + clip_high). ``clip_dual``: share stopped by the dual clip.
    ``ratio``: mean of pi / pi_old.
    """

    loss: Float[Tensor, ""]
    clip_low: Float[Tensor, ""]
    clip_high: Float[Tensor, ""]
    clip_dual: Float[Tensor, ""]
    ratio: Float[Tensor, ""]


@dataclass(frozen=True, slots=True, eq=False)
class LossParts:
    """The objective and its parts. ``total`` carries the gradient, everything else is detached; all are additive
    over micro-batches. ``kl`` and ``entropy`` are before their coefficients."""

    total: Float[Tensor, ""]
    policy: Float[Tensor, ""]
    kl: Float[Tensor, ""]
    entropy: Float[Tensor, ""]
    clip_low: Float[Tensor, ""]
    clip_high: Float[Tensor, ""]
    clip_dual: Float[Tensor, ""]
    ratio: Float[Tensor, ""]


def token_weights(completion_mask: Bool[Tensor, "B L"], aggregation: str = SEQ_MEAN_TOKEN_MEAN) -> Float[Tensor, "B L"]:
    """The weight of each token in the loss; the weights of a whole batch sum to 1.

    - ``seq-mean-token-mean`` (the method's): mean over sequences of the mean over a sequence's sampled tokens.
    - ``token-mean``: mean over all sampled tokens (DAPO, arXiv 2503.14476, section 3.3).

    A row without a sampled token has weight zero and does not count in the mean over sequences; a batch without any
    sampled token has weight zero everywhere.

    Raises:
        ValueError: an unknown aggregation.
    """
    if aggregation not in AGGREGATIONS:
        raise ValueError(f"aggregation {aggregation!r} is unknown; choose one of {', '.join(AGGREGATIONS)}")
    sampled = completion_mask.to(torch.float32)
    count = averaged_count(completion_mask, aggregation).clamp(min=1)
    if aggregation == TOKEN_MEAN:
        return sampled / count
    return sampled / sampled.sum(dim=1, keepdim=True).clamp(min=1.0) / count


def averaged_count(completion_mask: Bool[Tensor, "B L"], aggregation: str) -> Int[Tensor, ""]:
    """How many the outer mean of ``token_weights`` is over: sampled tokens, or sequences with a sampled token."""
    return (completion_mask if aggregation == TOKEN_MEAN else completion_mask.any(dim=1)).sum()


def clipped_policy_loss(
    logprobs: Float[Tensor, "B L"],
    old_logprobs: Float[Tensor, "B L"],
    advantages: Float[Tensor, "B"],
    weights: Float[Tensor, "B L"],
    completion_mask: Bool[Tensor, "B L"],
    clip_low: float = 0.2,
    clip_high: float = 0.28,
    dual_clip: float = 10.0,
) -> PolicyLoss:
    """-sum_t w_t min(r_t A, clip(r_t, 1 - clip_low, 1 + clip_high) A), with r = pi / pi_old.

    Environment Tuning, section 3.3; the two bounds are decoupled as in DAPO (arXiv 2503.14476, section 3.1). For A < 0
    the term is kept at or above ``dual_clip`` * A (Ye et al. 2020, arXiv 1912.09729, section 4.2).
    """
    log_ratio = _masked(logprobs, completion_mask) - _masked(old_logprobs, completion_mask)
    ratio = log_ratio.clamp(-MAX_LOG_RATIO, MAX_LOG_RATIO).exp()
    advantage = torch.where(completion_mask, advantages[:, None], 0.0)
    surrogate = torch.minimum(ratio * advantage, ratio.clamp(1 - clip_low, 1 + clip_high) * advantage)
    bounded = torch.where(advantage < 0, torch.maximum(surrogate, dual_clip * advantage), surrogate)

    def share(clipped: Tensor) -> Tensor:
        return (weights * clipped).sum()

    return PolicyLoss(
        loss=-(weights * bounded).sum(),
        clip_low=share((advantage < 0) & (ratio < 1 - clip_low)),
        clip_high=share((advantage > 0) & (ratio > 1 + clip_high)),
        clip_dual=share((advantage < 0) & (ratio > dual_clip)),
        ratio=share(ratio.detach()),
    )


def k3_kl(logprobs: Float[Tensor, "*shape"], reference_logprobs: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
    """Per token: exp(d) - d - 1 with d = log pi_ref - log pi; unbiased for KL(pi || pi_ref) and never negative.

    The low-variance estimator k3 of Schulman, http://joschu.net/blog/kl-approx.html, as in GRPO (arXiv 2402.03300,
    equation 4).
    """
    difference = (reference_logprobs - logprobs).clamp(-MAX_LOG_RATIO, MAX_LOG_RATIO)
    return difference.exp() - difference - 1


def grpo_loss(
    logprobs: Float[Tensor, "B L"],
    behaviour_logprobs: Float[Tensor, "B L"],
    reference_logprobs: Float[Tensor, "B L"],
    entropy: Float[Tensor, "B L"],
    advantages: Float[Tensor, "B"],
    weights: Float[Tensor, "B L"],
    completion_mask: Bool[Tensor, "B L"],
    beta: float = 0.1,
    entropy_coef: float = 0.001,
    clip_low: float = 0.2,
    clip_high: float = 0.28,
    dual_clip: float = 10.0,
    importance: str = NONE,
    importance_cap: float = 2.0,
) -> LossParts:
    """L = clipped policy loss + beta * KL(pi || pi_ref) - entropy_coef * H(pi) (Environment Tuning, section 3.3).

    ``entropy`` is the policy's, per token, in nats. The defaults are the method's.

    With ``importance`` (`importance.py`) the sampler's policy and the one that the clip starts from are two, as in
    decoupled PPO (Hilton et al. 2021, arXiv 2110.00641): a token's clipped term has pi_old from the trainer and is
    multiplied by its importance weight. ``logprobs`` must then be of the weights that sampled, one pass over each
    rollout: pi_old is ``logprobs`` without gradient, so the ratio is 1 and no clip acts. The weights' divisor stays as
    it is. KL and entropy are not weighted: they hold the policy where it is, and that matters most where the weight
    says that the sampler strayed.

    Raises:
        ValueError: an unknown ``importance``.
    """
    corrections = importance_weights(logprobs, behaviour_logprobs, completion_mask, importance, importance_cap)
    policy = clipped_policy_loss(
        logprobs,
        behaviour_logprobs if importance == NONE else logprobs.detach(),
        advantages,
        weights * corrections,
        completion_mask,
        clip_low,
        clip_high,
        dual_clip,
    )
    kl_per_token = k3_kl(_masked(logprobs, completion_mask), _masked(reference_logprobs, completion_mask))
    kl = (weights * kl_per_token).sum()
    mean_entropy = (weights * _masked(entropy, completion_mask)).sum()
    return LossParts(
        total=policy.loss + beta * kl - entropy_coef * mean_entropy,
        policy=policy.loss.detach(),
        kl=kl.detach(),
        entropy=mean_entropy.detach(),
        clip_low=policy.clip_low,
        clip_high=policy.clip_high,
        clip_dual=policy.clip_dual,
        ratio=policy.ratio,
    )


def _masked(values: Float[Tensor, "B L"], mask: Bool[Tensor, "B L"]) -> Float[Tensor, "B L"]:
    # Selecting before any arithmetic: a product with zero would turn a NaN elsewhere into a NaN gradient.
    return torch.where(mask, values, 0.0)
