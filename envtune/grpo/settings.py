"""Settings of the GRPO update with their ranges."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from pydantic import AllowInfNan, Field

from envtune.checked import Among, Count, NotNegative, Positive, checked
from envtune.grpo.importance import IMPORTANCES
from envtune.grpo.loss import AGGREGATIONS


@checked
@dataclass(frozen=True, slots=True)
class GRPOSettings:
    """Settings of the update; defaults are those of Environment Tuning (arXiv 2510.10197, section 3.4 and appendix).

    Args:
        group_size: episodes per task.
        tasks_per_update: tasks per optimiser update.
        clip_low, clip_high, dual_clip, beta, entropy_coef: see ``grpo_loss``.
        aggregation: see ``token_weights``.
        gradient_clip: bound on the total 2-norm of the gradient.
        filter_zero_variance: replace groups without an advantage, whose rewards are equal, by groups of further tasks.
        max_refills: rounds of such replacements per update.
        max_tokens_per_batch: unique tokens of one forward pass, a group's prompt counted once.
        importance, importance_cap: see ``importance_weights``. Not part of the paper.
        kl_clamp: see ``k3_kl``; part of the reference code.
        token_budget: the divisor of ``aggregation=seq-mean-token-sum-norm``, see ``token_weights``.

    Raises:
        UserError: a value has the wrong type or is out of range.
    """

    group_size: Annotated[int, Field(ge=2, description="an advantage is relative to the rest of the group")] = 16
    tasks_per_update: Count = 32
    clip_low: Annotated[float, Field(gt=0, lt=1)] = 0.2
    clip_high: Positive = 0.28
    dual_clip: Annotated[float, Field(gt=1), AllowInfNan(True)] = 10.0
    beta: NotNegative = 0.1
    entropy_coef: NotNegative = 0.001
    aggregation: Annotated[str, Among(AGGREGATIONS)] = "seq-mean-token-mean"
    gradient_clip: Annotated[float, Field(gt=0, description="the total 2-norm"), AllowInfNan(True)] = 1.0
    filter_zero_variance: bool = False
    max_refills: Annotated[int, Field(ge=0)] = 2
    max_tokens_per_batch: Count = 65536
    importance: Annotated[str, Among(IMPORTANCES)] = "none"
    importance_cap: Annotated[float, Field(gt=1)] = 2.0
    kl_clamp: Positive | None = 10.0
    token_budget: Count = 24576
