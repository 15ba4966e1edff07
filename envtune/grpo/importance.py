"""Importance weights that correct the mismatch of sampler and trainer. Functions of tensors, no gradient.

Different kernels, precision and caching make a sampler's log-probs differ from the trainer's for equal weights, so its
samples are slightly off-policy. The ratio of the two probabilities corrects the expectation, and a bound on it trades
variance for bias (truncated importance sampling: Ionides 2008, J. Comput. Graph. Stat. 17(2)). With
ratio_t = pi_old / pi_sampler of token t:

- ``none``: 1. The loss then clips pi / pi_sampler.
- ``token``: min(ratio_t, cap) (Yao et al. 2025, https://fengyao.notion.site/off-policy-rl).
- ``sequence``: min(product of ratio_t over the episode, cap) for all its tokens (Liu, Li et al. 2025,
  https://richardli.xyz/rl-collapse). The product, not its geometric mean, is the ratio of the episode's probabilities;
  environment tokens have equal probabilities under both and cancel.
- ``mask``: ratio_t if in [1 / cap, cap], otherwise 0 (IcePop: Ring-1T, arXiv 2510.18855).
"""

from __future__ import annotations

import torch
from jaxtyping import Float, Int
from torch import Tensor

NONE = "none"
TOKEN = "token"
SEQUENCE = "sequence"
MASK = "mask"
IMPORTANCES = (NONE, TOKEN, SEQUENCE, MASK)


def importance_weights(
    old_logprobs: Float[Tensor, "T"],
    behaviour_logprobs: Float[Tensor, "T"],
    episodes: Int[Tensor, "T"],
    importance: str,
    cap: float,
) -> Float[Tensor, "T"]:
    """Return the weight of each sampled token.

    Args:
        old_logprobs: of the trainer, with the weights that sampled, in nats.
        behaviour_logprobs: of the sampler, in nats.
        episodes: the number of each token's episode, from 0.
        importance: a kind of weights from the module's docstring.
        cap: bound on the ratio, above 1.

    Raises:
        ValueError: ``importance`` is unknown.
    """
    if importance not in IMPORTANCES:
        raise ValueError(f"importance {importance!r} is unknown; choose one of {', '.join(IMPORTANCES)}")
    log_ratio = old_logprobs.detach() - behaviour_logprobs
    if importance == NONE:
        log_ratio = torch.zeros_like(log_ratio)
    if importance == SEQUENCE:
        log_ratio = episode_sums(log_ratio, episodes)[episodes]
    ratio = log_ratio.exp()
    if importance == MASK:
        return torch.where((ratio >= 1 / cap) & (ratio <= cap), ratio, 0.0)
    return ratio.clamp(max=cap)


def episode_sums(values: Float[Tensor, "T"], episodes: Int[Tensor, "T"]) -> Float[Tensor, "_"]:
    """Return the sum of each episode's values, up to the last episode with a token."""
    count = int(episodes.max()) + 1 if len(episodes) else 0
    return values.new_zeros(count).index_add(0, episodes, values)


def effective_sample_share(weights: Float[Tensor, "n"]) -> float:
    """Return the effective sample size (sum w)^2 / (sum w^2) over n: 1 for equal weights, 1/n for a single one above 0.

    Kong 1992; Kish 1965, section 8.2. Returns 0 if all weights are 0; needs at least one weight.
    """
    greatest = float(weights.max())
    if greatest == 0.0:
        return 0.0
    # Scaled, so that squares of small weights do not underflow.
    shares = weights.double() / greatest
    return float(shares.sum() ** 2 / (shares**2).sum() / shares.numel())
