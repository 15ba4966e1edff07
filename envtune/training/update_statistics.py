"""What is measured on one update while its micro-batches pass: loss parts, and how far sampler and trainer agree."""

from __future__ import annotations

from collections import defaultdict

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from envtune.grpo.loss import LossParts
from envtune.training.aggregates import Samples

_LOSS_NAMES = {
    "total": "loss/total",
    "policy": "loss/policy",
    "kl": "kl",
    "entropy": "entropy",
    "clip_low": "clip_ratio/low",
    "clip_high": "clip_ratio/high",
    "clip_dual": "clip_ratio/dual",
}


class UpdateStatistics:
    """Sums of the additive loss parts, and the log-probs' differences of all sampled tokens."""

    def __init__(self) -> None:
        self._sums: dict[str, float] = defaultdict(float)
        self._differences: list[Tensor] = []

    def add(
        self,
        parts: LossParts,
        logprobs: Float[Tensor, "B L"],
        behaviour_logprobs: Float[Tensor, "B L"],
        completion_mask: Bool[Tensor, "B L"],
    ) -> None:
        """Adds one micro-batch; ``logprobs`` are the policy's before the update."""
        for part, name in _LOSS_NAMES.items():
            self._sums[name] += float(getattr(parts, part).detach())
        self._differences.append((logprobs.detach() - behaviour_logprobs)[completion_mask].float().cpu())

    def samples(self, beta: float, entropy_coef: float) -> Samples:
        """One sample per name. ``loss/kl`` and ``loss/entropy`` are ``kl`` and ``entropy`` as they enter the loss."""
        values = dict(self._sums)
        values["loss/kl"] = beta * values["kl"]
        values["loss/entropy"] = -entropy_coef * values["entropy"]
        return {name: [value] for name, value in (values | self._agreement()).items()}

    def _agreement(self) -> dict[str, float]:
        """Policy against behaviour log-probs: difference in nats, ratio, and effective sample size over the tokens."""
        difference = torch.cat(self._differences)
        if not difference.numel():
            return {}
        ratio = difference.double().exp()
        return {
            "sampling/logp_diff_mean": float(difference.abs().mean()),
            "sampling/logp_diff_max": float(difference.abs().max()),
            "sampling/is_ratio_mean": float(ratio.mean()),
            "sampling/is_ratio_max": float(ratio.max()),
            "sampling/ess": float(ratio.sum() ** 2 / (ratio**2).sum() / ratio.numel()),
        }
