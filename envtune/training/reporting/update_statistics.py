"""Statistics of one update over its micro-batches: loss parts, and the mismatch of sampler and trainer."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from math import inf
from statistics import fmean

import torch
from jaxtyping import Float, Int
from torch import Tensor

from envtune.grpo.importance import NONE, effective_sample_share, episode_sums, importance_weights
from envtune.grpo.loss import LossParts
from envtune.processes.collectives import gather
from envtune.training.reporting.aggregates import Samples

_LOSS_NAMES = {
    "total": "loss/total",
    "policy": "loss/policy",
    "kl": "kl",
    "entropy": "entropy",
    "clip_low": "clip_ratio/low",
    "clip_high": "clip_ratio/high",
    "clip_dual": "clip_ratio/dual",
}
_MEANS = tuple(name for name in _LOSS_NAMES.values() if not name.startswith("loss/"))


class UpdateStatistics:
    """Sums of the loss parts, and the log-prob differences and importance weights of all sampled tokens.

    ``importance`` and ``cap`` are those of the loss (`grpo/importance.py`).
    """

    def __init__(self, importance: str = NONE, cap: float = 2.0) -> None:
        self._importance, self._cap = importance, cap
        self._sums: dict[str, float] = defaultdict(float)
        self._total_weight = 0.0
        # One tensor per micro-batch, by sampled token; the last one by episode.
        names = ("differences", "turns", "weights", "bounded", "episode_differences")
        self._sampled: dict[str, list[Tensor]] = {name: [] for name in names}

    def add(
        self,
        parts: LossParts,
        logprobs: Float[Tensor, "T"],
        behaviour_logprobs: Float[Tensor, "T"],
        weights: Float[Tensor, "T"],
        episodes: Int[Tensor, "T"],
        turns: Int[Tensor, "T"],
    ) -> None:
        """Add one micro-batch; ``logprobs`` are the policy's before the update, ``weights`` those of the loss."""
        for part, name in _LOSS_NAMES.items():
            self._sums[name] += float(getattr(parts, part).detach())
        self._total_weight += float(weights.sum())
        difference = (logprobs.detach() - behaviour_logprobs).float().cpu()
        corrections, unbounded = (
            importance_weights(logprobs, behaviour_logprobs, episodes, self._importance, cap)
            for cap in (self._cap, inf)
        )
        self._sampled["differences"].append(difference)
        self._sampled["turns"].append(turns.cpu())
        self._sampled["weights"].append(corrections.cpu())
        self._sampled["bounded"].append((corrections != unbounded).cpu())
        played = episodes.cpu().unique()
        self._sampled["episode_differences"].append(episode_sums(difference.double(), episodes.cpu())[played])

    def samples(self, beta: float, entropy_coef: float) -> Samples:
        """Return one sample per name. ``loss/kl`` and ``loss/entropy`` are ``kl`` and ``entropy`` times their weights.

        A collective: loss parts are to be averaged over ranks, everything else is over the tokens of all ranks.
        """
        values = dict(self._sums)
        values["loss/kl"] = beta * values["kl"]
        values["loss/entropy"] = -entropy_coef * values["entropy"]
        # The weights sum to 1 unless the loss sums over tokens; these are means in any case.
        total = fmean(gather(self._total_weight)) or 1.0
        values |= {name: values[name] / total for name in _MEANS}
        # All tokens, 11 bytes each: effective sample sizes of ranks cannot be averaged.
        ranks = gather({name: torch.cat(tensors) for name, tensors in self._sampled.items()})
        tokens = {name: torch.cat([rank[name] for rank in ranks]) for name in self._sampled}
        if tokens["differences"].numel():
            values |= _agreement(tokens) | _agreement_by_turn(tokens)
            if self._importance != NONE:
                values |= _correction(tokens)
        return {name: [value] for name, value in values.items()}


def _agreement(tokens: Mapping[str, Tensor]) -> dict[str, float]:
    """Compare policy and behaviour log-probs: difference in nats, ratio, and effective sample sizes."""
    difference = tokens["differences"]
    ratio = difference.double().exp()
    return {
        "sampling/logp_diff_mean": float(difference.abs().mean()),
        "sampling/logp_diff_max": float(difference.abs().max()),
        "sampling/is_ratio_mean": float(ratio.mean()),
        "sampling/is_ratio_max": float(ratio.max()),
        "sampling/ess": _effective_share(difference),
        "sampling/ess_sequence": _effective_share(tokens["episode_differences"]),
    }


def _agreement_by_turn(tokens: Mapping[str, Tensor]) -> dict[str, float]:
    """Return mean difference and effective sample size by turn, to show if the mismatch grows with the context."""
    turns, values = tokens["turns"], {}
    for turn in turns.unique().tolist():
        difference = tokens["differences"][turns == turn]
        values[f"sampling/logp_diff_mean/turn_{turn}"] = float(difference.abs().mean())
        values[f"sampling/ess/turn_{turn}"] = _effective_share(difference)
    return values


def _correction(tokens: Mapping[str, Tensor]) -> dict[str, float]:
    """Return mean, capped share, and effective sample size of the importance weights in the loss."""
    return {
        "importance/mean": float(tokens["weights"].mean()),
        "importance/bounded": float(tokens["bounded"].float().mean()),
        "importance/ess": effective_sample_share(tokens["weights"]),
    }


def _effective_share(log_ratios: Float[Tensor, "n"]) -> float:
    """Return the effective share of exp(log_ratios), scaled by the greatest because exp may overflow."""
    return effective_sample_share((log_ratios.double() - log_ratios.max()).exp())
