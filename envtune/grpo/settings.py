"""Every number of the GRPO update, checked once. What each does to the loss is in `loss.py`."""

from __future__ import annotations

from dataclasses import dataclass, fields
from math import inf
from typing import Any

from envtune.errors import UserError
from envtune.grpo.importance import IMPORTANCES
from envtune.grpo.loss import AGGREGATIONS


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

    group_size: int = 16
    tasks_per_update: int = 32
    clip_low: float = 0.2
    clip_high: float = 0.28
    dual_clip: float = 10.0
    beta: float = 0.1
    entropy_coef: float = 0.001
    aggregation: str = "seq-mean-token-mean"
    gradient_clip: float = 1.0
    filter_zero_variance: bool = False
    max_refills: int = 2
    max_tokens_per_batch: int = 65536
    importance: str = "none"
    importance_cap: float = 2.0

    def __post_init__(self) -> None:
        _check_kinds({field.name: (getattr(self, field.name), str(field.type)) for field in fields(GRPOSettings)})
        bounds = {
            "group_size": self.group_size >= 2,
            "tasks_per_update": self.tasks_per_update >= 1,
            "clip_low": 0 < self.clip_low < 1,
            "clip_high": self.clip_high > 0,
            "dual_clip": self.dual_clip > 1,
            "beta": self.beta >= 0,
            "entropy_coef": self.entropy_coef >= 0,
            "gradient_clip": self.gradient_clip > 0,
            "max_refills": self.max_refills >= 0,
            "max_tokens_per_batch": self.max_tokens_per_batch >= 1,
            "importance_cap": 1 < self.importance_cap < inf,
        }
        allowed = {
            "group_size": "at least 2: an advantage is relative to the rest of the group",
            "tasks_per_update": "at least 1",
            "clip_low": "between 0 and 1",
            "clip_high": "above 0",
            "dual_clip": "above 1",
            "gradient_clip": "above 0",
            "max_tokens_per_batch": "at least 1",
            "importance_cap": "above 1 and finite",
        }
        for name, holds in bounds.items():
            if not holds:
                raise UserError(f"grpo.{name}={getattr(self, name)} must be {allowed.get(name, 'at least 0')}")
        for name, choices in (("aggregation", AGGREGATIONS), ("importance", IMPORTANCES)):
            if getattr(self, name) not in choices:
                raise UserError(f"grpo.{name}={getattr(self, name)!r} must be one of {', '.join(choices)}")


_KINDS: dict[str, tuple[tuple[type, ...], str]] = {
    "int": ((int,), "a whole number"),
    "float": ((int, float), "a number"),
    "bool": ((bool,), "true or false"),
    "str": ((str,), "a name"),
}


def _check_kinds(settings: dict[str, tuple[Any, str]]) -> None:
    """What a command line gives may be of any type, and `2.5` or `true` would compare like a count."""
    for name, (value, kind) in settings.items():
        types, words = _KINDS[kind]
        if not isinstance(value, types) or (isinstance(value, bool) and kind != "bool"):
            raise UserError(f"grpo.{name}={value!r} must be {words}")
