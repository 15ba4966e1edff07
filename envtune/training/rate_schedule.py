"""Schedules of the learning rate: its share of `optimizer.lr` as a function of the number of updates."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import Field
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR
from typing_extensions import override

from envtune.checked import Count, checked
from envtune.errors import UserError


@checked
@dataclass(frozen=True, slots=True)
class RateSchedule:
    """A rate that rises for ``warmup_updates`` and then falls to 0 at the end of the run.

    Args:
        shape: "linear" falls by equal steps, "cosine" by half a period of the cosine.
        warmup_updates: updates before the full rate. Unlike transformers' schedules, the first has a rate above 0:
            with a rate of 0 its rollout would be wasted.
        total_updates: updates until the rate is 0, warm-up included; None for those of the run, or of the stage in a
            curriculum.

    Raises:
        UserError: an argument is not allowed.
    """

    shape: Literal["linear", "cosine"]
    warmup_updates: Annotated[int, Field(ge=0, description="updates before the full rate")] = 0
    total_updates: Annotated[Count | None, Field(description="null for the length of the run")] = None

    def share(self, update: int, total: int) -> float:
        """Return the share of the full rate, in [0, 1], after ``update`` of ``total`` updates."""
        if update < self.warmup_updates:
            return (update + 1) / (self.warmup_updates + 1)
        done = min(1.0, (update - self.warmup_updates) / (total - self.warmup_updates))
        return 1.0 - done if self.shape == "linear" else 0.5 * (1.0 + math.cos(math.pi * done))

    def of(self, optimizer: Optimizer, run_length: float) -> ScheduledRate:
        """Return the schedule of an optimizer in a run of ``run_length`` updates.

        Raises:
            UserError: as ``length``.
        """
        total = self.length(run_length)
        return ScheduledRate(optimizer, lambda update: self.share(update, total))

    def length(self, run_length: float) -> int:
        """Return the number of updates until the rate is 0, in a run of ``run_length`` updates, which may be infinite.

        Raises:
            UserError: the number is unknown, or not above that of the warm-up.
        """
        total = self.total_updates or run_length
        if math.isinf(total):
            raise UserError(
                f"the {self.shape} schedule of the learning rate ends with the run, whose length is not limited: give "
                "scheduler.total_updates or trainer.max_steps"
            )
        if total <= self.warmup_updates:
            raise UserError(
                f"scheduler.warmup_updates={self.warmup_updates} must be below the {total:.0f} updates of the schedule"
                ": give fewer, or raise scheduler.total_updates or the length of the run"
            )
        return int(total)


class ScheduledRate(LambdaLR):
    """torch's scheduler at a position that follows from the number of updates.

    Its state is not restored: settings of a continued run, such as a new `trainer.max_steps`, count from its start.
    """

    def go_to(self, update: int) -> None:
        """Set the rate of the update that follows ``update`` updates."""
        self.last_epoch = update
        self._last_lr = [base * share(update) for base, share in zip(self.base_lrs, self.lr_lambdas, strict=True)]
        for group, rate in zip(self.optimizer.param_groups, self._last_lr, strict=True):
            group["lr"] = rate

    @override
    def state_dict(self) -> dict[str, Any]:
        return {"last_epoch": self.last_epoch}

    @override
    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Ignore the state: `go_to` follows."""
