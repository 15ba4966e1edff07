"""What a sampled token counts where sampler and trainer disagree: importance weights. Pure tensors, no gradient.

Other kernels, another precision, a cache: a sampler gives the same weights other probabilities than the trainer does,
so what it sampled comes from a policy that is not quite the one that is trained. The ratio of the two probabilities
puts that right in the mean, and a bound on it keeps the variance down at the price of some bias (truncated importance
sampling: Ionides 2008, J. Comput. Graph. Stat. 17(2)). The kinds, with ratio_t = pi_old / pi_sampler of one token:

- ``none``: 1. The clip of the loss then works on pi / pi_sampler.
- ``token``: min(ratio_t, cap) (Yao et al. 2025, https://fengyao.notion.site/off-policy-rl).
- ``sequence``: min(product of ratio_t over the episode, cap), for each of its tokens (Liu, Li et al. 2025,
  https://richardli.xyz/rl-collapse). The product and not its root by length, because the product is the ratio of the
  episode's probabilities. What the environment wrote has no part in it, being as likely under both.
- ``mask``: ratio_t within [1 / cap, cap], otherwise 0 (IcePop: Ring-1T, arXiv 2510.18855).
"""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float
from torch import Tensor

NONE = "none"
TOKEN = "token"
SEQUENCE = "sequence"
MASK = "mask"
IMPORTANCES = (NONE, TOKEN, SEQUENCE, MASK)


def importance_weights(
    old_logprobs: Float[Tensor, "B L"],
    behaviour_logprobs: Float[Tensor, "B L"],
    completion_mask: Bool[Tensor, "B L"],
    importance: str,
    cap: float,
) -> Float[Tensor, "B L"]:
    """The weight of each sampled token, 0.0 on all others; see above for the kinds.

    ``old_logprobs`` are the trainer's for the weights that sampled, ``behaviour_logprobs`` the sampler's. A row is a
    whole episode, so rows may be given in any portions.

    Raises:
        ValueError: an unknown kind.
    """
    if importance not in IMPORTANCES:
        raise ValueError(f"importance {importance!r} is unknown; choose one of {', '.join(IMPORTANCES)}")
    log_ratio = torch.where(completion_mask, old_logprobs.detach() - behaviour_logprobs, 0.0)
    if importance == NONE:
        log_ratio = torch.zeros_like(log_ratio)
    if importance == SEQUENCE:
        log_ratio = log_ratio.sum(dim=1, keepdim=True)
    ratio = log_ratio.exp()
    bounded = ratio.clamp(max=cap)
    if importance == MASK:
        bounded = torch.where((ratio >= 1 / cap) & (ratio <= cap), ratio, 0.0)
    return torch.where(completion_mask, bounded, 0.0)


def effective_sample_share(weights: Float[Tensor, "n"]) -> float:
    """(sum w)^2 / (n sum w^2) of at least one weight: 1 if all are equal, 1/n if one has everything, 0 if all are 0.

    The effective sample size of importance sampling, as a share of the sample (Kong 1992; Kish 1965, section 8.2).
    """
    greatest = float(weights.max())
    if greatest == 0.0:
        return 0.0
    shares = weights.double() / greatest
    return float(shares.sum() ** 2 / (shares**2).sum() / shares.numel())
