"""Every number of the GRPO update and its range. What each does to the loss is in `loss.py`."""

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
    """Settings of the update (paper, section 3.4 and appendix; defaults are the paper's).

    ``group_size`` episodes of each of ``tasks_per_update`` tasks make one update. ``filter_zero_variance`` replaces
    groups whose rewards are all equal by those of further tasks, drawn at most ``max_refills`` times an update.
    ``max_tokens_per_batch`` bounds the tokens of one forward pass, a group's prompt counted once. ``gradient_clip`` is
    a total 2-norm. ``importance`` and ``importance_cap`` say how tokens are weighted on which sampler and trainer
    disagree (`importance.py`); the paper says nothing of it.

    Raises:
        UserError: a value is of the wrong kind or out of its range.
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
