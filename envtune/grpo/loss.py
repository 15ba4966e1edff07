"""The training objective as functions of tensors: clipped policy loss, KL estimate, entropy, aggregation.

Tensors are of the T sampled tokens of a batch, one trajectory after another; other tokens do not take part. Sums over
tokens use ``weights`` that were computed over the whole batch, so the results of micro-batches with their slices of the
weights add up to that of the batch.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from envtune.grpo.importance import NONE, importance_weights

SEQ_MEAN_TOKEN_MEAN = "seq-mean-token-mean"
SEQ_MEAN_TOKEN_SUM = "seq-mean-token-sum"
SEQ_MEAN_TOKEN_SUM_NORM = "seq-mean-token-sum-norm"
TOKEN_MEAN = "token-mean"
AGGREGATIONS = (SEQ_MEAN_TOKEN_MEAN, SEQ_MEAN_TOKEN_SUM, SEQ_MEAN_TOKEN_SUM_NORM, TOKEN_MEAN)

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


def token_weights(
    episodes: Int[Tensor, "T"], aggregation: str = SEQ_MEAN_TOKEN_MEAN, max_tokens: int = 1
) -> Float[Tensor, "T"]:
    """Return the weight of each sampled token of a whole batch in the loss.

    - ``seq-mean-token-mean``: mean over sequences of the mean over a sequence's sampled tokens (GRPO, arXiv 2402.03300,
      equation 3, and Environment Tuning).
    - ``seq-mean-token-sum``: mean over sequences of the sum over a sequence's sampled tokens, as in verl.
    - ``seq-mean-token-sum-norm``: that divided by the constant ``max_tokens``, so that the length of a sequence does
      not change the weight of its tokens (Dr. GRPO, arXiv 2503.20783, section 3.2).
    - ``token-mean``: mean over all sampled tokens (DAPO, arXiv 2503.14476, section 3.3).

    A sequence without sampled tokens does not count in the mean over sequences.

    Args:
        episodes: the number of each token's sequence, from 0.
        max_tokens: the greatest number of tokens of a sequence, for ``seq-mean-token-sum-norm``.

    Raises:
        ValueError: ``aggregation`` is unknown.
    """
    if aggregation not in AGGREGATIONS:
        raise ValueError(f"aggregation {aggregation!r} is unknown; choose one of {', '.join(AGGREGATIONS)}")
    divisor = averaged_count(episodes, aggregation)
    if aggregation == SEQ_MEAN_TOKEN_MEAN:
        return 1.0 / episodes.bincount()[episodes] / max(1, divisor)
    if aggregation == SEQ_MEAN_TOKEN_SUM_NORM:
        divisor *= max_tokens
    return torch.full(episodes.shape, 1.0 / max(1, divisor), device=episodes.device)


def averaged_count(episodes: Int[Tensor, "T"], aggregation: str) -> int:
    """Return the number of items in the mean: sampled tokens for ``token-mean``, otherwise sequences that have some."""
    return len(episodes) if aggregation == TOKEN_MEAN else len(episodes.unique())


def clipped_policy_loss(
    logprobs: Float[Tensor, "T"],
    old_logprobs: Float[Tensor, "T"],
    advantages: Float[Tensor, "T"],
    weights: Float[Tensor, "T"],
    clip_low: float = 0.2,
    clip_high: float = 0.28,
    dual_clip: float = 10.0,
) -> PolicyLoss:
    """Return -sum_t w_t min(r_t A, clip(r_t, 1 - clip_low, 1 + clip_high) A), with r = pi / pi_old.

    Environment Tuning, arXiv 2510.10197, section 3.3, with separate bounds as in DAPO (arXiv 2503.14476, section 3.1).
    For A < 0, each term is at least ``dual_clip`` * A (Ye et al. 2020, arXiv 1912.09729, section 4.2). The log-probs of
    pi and pi_old are in nats; w are the ``token_weights``.
    """
    ratio = (logprobs - old_logprobs).clamp(-MAX_LOG_RATIO, MAX_LOG_RATIO).exp()
    surrogate = torch.minimum(ratio * advantages, ratio.clamp(1 - clip_low, 1 + clip_high) * advantages)
    bounded = torch.where(advantages < 0, torch.maximum(surrogate, dual_clip * advantages), surrogate)

    def share(clipped: Tensor) -> Tensor:
        return (weights * clipped).sum()

    return PolicyLoss(
        loss=-(weights * bounded).sum(),
        clip_low=share((advantages < 0) & (ratio < 1 - clip_low)),
        clip_high=share((advantages > 0) & (ratio > 1 + clip_high)),
        clip_dual=share((advantages < 0) & (ratio > dual_clip)),
        ratio=share(ratio.detach()),
    )


def k3_kl(
    logprobs: Float[Tensor, "*shape"], reference_logprobs: Float[Tensor, "*shape"], clamp: float | None = None
) -> Float[Tensor, "*shape"]:
    """Return exp(d) - d - 1 per token, with d = log pi_ref - log pi: an unbiased, non-negative estimate of the KL.

    The estimator k3 of KL(pi || pi_ref) (Schulman 2020, http://joschu.net/blog/kl-approx.html), as in GRPO (arXiv
    2402.03300, equation 4). Input and output in nats.

    Args:
        clamp: the greatest estimate of a token, in nats, as in verl and the paper's reference code (10). A token above
            it has no gradient: without the bound, d = 8 has exp(8) - 1 = 2980 times the gradient of d = ln 2. It biases
            the estimate. None for the plain formula.
    """
    difference = (reference_logprobs - logprobs).clamp(-MAX_LOG_RATIO, MAX_LOG_RATIO)
    return (difference.exp() - difference - 1).clamp(max=clamp) if clamp else difference.exp() - difference - 1


def grpo_loss(
    logprobs: Float[Tensor, "T"],
    behaviour_logprobs: Float[Tensor, "T"],
    reference_logprobs: Float[Tensor, "T"],
    entropy: Float[Tensor, "T"],
    advantages: Float[Tensor, "T"],
    weights: Float[Tensor, "T"],
    episodes: Int[Tensor, "T"],
    beta: float = 0.1,
    entropy_coef: float = 0.001,
    clip_low: float = 0.2,
    clip_high: float = 0.28,
    dual_clip: float = 10.0,
    importance: str = NONE,
    importance_cap: float = 2.0,
    kl_clamp: float | None = 10.0,
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
        episodes: the number of each token's episode, from 0.
        kl_clamp: as in ``k3_kl``.

    Raises:
        ValueError: ``importance`` is unknown.
    """
    corrections = importance_weights(logprobs, behaviour_logprobs, episodes, importance, importance_cap)
    policy = clipped_policy_loss(
        logprobs,
        behaviour_logprobs if importance == NONE else logprobs.detach(),
        advantages,
        weights * corrections,
        clip_low,
        clip_high,
        dual_clip,
    )
    kl = (weights * k3_kl(logprobs, reference_logprobs, kl_clamp)).sum()
    mean_entropy = (weights * entropy).sum()
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
