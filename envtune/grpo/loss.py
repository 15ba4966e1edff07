"""The training objective as functions of tensors: clipped policy loss, KL estimate, entropy, aggregation.

Shapes are [B, L]: B rows (trajectories), L tokens. Sums over tokens use ``weights`` that sum to 1 over the whole batch,
so the results of micro-batches with their slices of the weights add up to that of the batch. Values outside the
completion mask, even NaN, affect neither results nor gradients.
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

# exp(20) = 4.9e8 is far outside every clip range, and its products stay finite in float32.
MAX_LOG_RATIO = 20.0


@dataclass(frozen=True, slots=True, eq=False)
class PolicyLoss:
    """The clipped policy loss with statistics of its clips: weighted sums over sampled tokens."""

    loss: Float[Tensor, ""]
    clip_low: Float[Tensor, ""]
    """Share of tokens without gradient by the lower bound: A < 0, ratio < 1 - clip_low; in [0, 1]."""
    clip_high: Float[Tensor, ""]
    """Share of tokens without gradient by the upper bound: A > 0, ratio > 1 + clip_high; in [0, 1]."""
    clip_dual: Float[Tensor, ""]
    """Share of tokens without gradient by the dual clip: A < 0, ratio > dual_clip; in [0, 1]."""
    ratio: Float[Tensor, ""]
    """Mean of pi / pi_old."""


@dataclass(frozen=True, slots=True, eq=False)
class LossParts:
    """The objective and its parts, additive over micro-batches. Only ``total`` has a gradient."""

    total: Float[Tensor, ""]
    policy: Float[Tensor, ""]
    kl: Float[Tensor, ""]
    """KL(pi || pi_ref) in nats, without ``beta``."""
    entropy: Float[Tensor, ""]
    """In nats, without ``entropy_coef``."""
    clip_low: Float[Tensor, ""]
    clip_high: Float[Tensor, ""]
    clip_dual: Float[Tensor, ""]
    ratio: Float[Tensor, ""]


def token_weights(completion_mask: Bool[Tensor, "B L"], aggregation: str = SEQ_MEAN_TOKEN_MEAN) -> Float[Tensor, "B L"]:
    """Return the weight of each token in the loss, [B, L]; the weights of a whole batch sum to 1.

    - ``seq-mean-token-mean``: mean over sequences of the mean over a sequence's sampled tokens (GRPO, arXiv 2402.03300,
      equation 3, and Environment Tuning).
    - ``token-mean``: mean over all sampled tokens (DAPO, arXiv 2503.14476, section 3.3).

    A row without sampled tokens has weight 0 and does not count in the mean over sequences.

    Raises:
        ValueError: ``aggregation`` is unknown.
    """
    if aggregation not in AGGREGATIONS:
        raise ValueError(f"aggregation {aggregation!r} is unknown; choose one of {', '.join(AGGREGATIONS)}")
    sampled = completion_mask.to(torch.float32)
    count = averaged_count(completion_mask, aggregation).clamp(min=1)
    if aggregation == TOKEN_MEAN:
        return sampled / count
    return sampled / sampled.sum(dim=1, keepdim=True).clamp(min=1.0) / count


def averaged_count(completion_mask: Bool[Tensor, "B L"], aggregation: str) -> Int[Tensor, ""]:
    """Return the divisor of ``token_weights``: the number of sampled tokens, or of sequences with a sampled token."""
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
    """Return -sum_t w_t min(r_t A, clip(r_t, 1 - clip_low, 1 + clip_high) A), with r = pi / pi_old.

    Environment Tuning, arXiv 2510.10197, section 3.3, with separate bounds as in DAPO (arXiv 2503.14476, section 3.1).
    For A < 0, each term is at least ``dual_clip`` * A (Ye et al. 2020, arXiv 1912.09729, section 4.2). The log-probs of
    pi and pi_old are in nats; w are the ``token_weights``.
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
    """Return exp(d) - d - 1 per token, with d = log pi_ref - log pi: an unbiased, non-negative estimate of the KL.

    The estimator k3 of KL(pi || pi_ref) (Schulman 2020, http://joschu.net/blog/kl-approx.html), as in GRPO (arXiv
    2402.03300, equation 4). Input and output in nats.
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
    """Return L = clipped policy loss + beta * KL(pi || pi_ref) - entropy_coef * H(pi).

    Environment Tuning, arXiv 2510.10197, section 3.3; the defaults are the paper's and its reference code's.

    ``importance`` separates the sampler's policy from the old policy of the clip, as in decoupled PPO (Hilton et al.
    2021, arXiv 2110.00641): each clipped term uses the trainer's pi_old and is multiplied by its importance weight.
    This requires one update per rollout: pi_old is ``logprobs`` without gradient, so the ratio is 1 and no clip acts.
    The divisor of ``weights`` does not change. KL and entropy are not weighted: they regularise the policy, above all
    where the sampler deviates and weights are small.

    Args:
        logprobs: of pi, with gradient, in nats; all other tensors have no gradient.
        behaviour_logprobs: of the sampler, in nats.
        entropy: of pi, per token, in nats.
        weights: from ``token_weights``.

    Raises:
        ValueError: ``importance`` is unknown.
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
    # Select before any arithmetic: 0 * NaN would make the gradient NaN.
    return torch.where(mask, values, 0.0)
