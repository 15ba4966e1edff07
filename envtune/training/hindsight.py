"""Hindsight distillation: the policy that has read the hint teaches the call that failed without it.

A hint says after a failed call what should have come before it. The same policy, given the hint at the end of the last
message *before* the call, is the teacher of that call's tokens: it adds

    weight * clip(log pi(token | hint) - log pi(token), -clip, clip)

to their advantages, the sampled gradient of -KL(pi || teacher). Nothing else of the episode is changed. The idea is
HinT-SD's (arXiv 2605.17873), which distils on the spans that failed alone. Without a guard, token distillation can
unlearn (arXiv 2606.12634): by default only hints count after which the tool's next call helped.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from typing import Literal

import torch
from jaxtyping import Float, Int
from torch import Tensor

from envtune.chat.protocol import CALL_TAG
from envtune.chat.template import Template
from envtune.checked import Positive, checked
from envtune.grpo.batch import TrainBatch
from envtune.trajectory import Step, TokenRecord, ToolCalls, Trajectory


@checked
@dataclass(frozen=True, slots=True)
class Hindsight:
    """Settings of the distillation.

    Args:
        weight: of the teacher's log-ratio beside the advantage.
        clip: bound on the log-ratio of a token, in nats.
        guard: ``recovered`` teaches only hints after which the next call of the tool in the episode helped; ``none``
            teaches all.

    Raises:
        UserError: a value is not allowed.
    """

    weight: Positive = 0.1
    clip: Positive = 1.0
    guard: Literal["recovered", "none"] = "recovered"


@dataclass(frozen=True, slots=True, eq=False)
class TaughtCalls:
    """The failed calls of a batch after their hints."""

    tensors: TrainBatch
    """Each call behind its history with the hint; its S sampled tokens are the call's."""
    places: Int[Tensor, "S"]
    """Numbers of these tokens among the sampled tokens of the batch."""

    def to(self, device: torch.device | str) -> TaughtCalls:
        """Return a copy on ``device``."""
        return replace(self, tensors=self.tensors.to(device), places=self.places.to(device))


def taught_calls(
    trajectories: Sequence[Trajectory], settings: Hindsight, template: Template, temperature: float, max_tokens: int
) -> TaughtCalls | None:
    """Return the failed calls with hints of a batch's trajectories, in their order; None if there are none.

    Args:
        trajectories: those of the batch, with tokens.
        settings: which calls are taught.
        template: writes the hint.
        temperature: of the sampler.
        max_tokens: calls whose history with the hint is longer are left out.
    """
    records: list[TokenRecord] = []
    places: list[int] = []
    before = 0
    for trajectory in trajectories:
        for step, start, hint in _hinted_steps(trajectory, settings.guard):
            record, own = _taught(trajectory, step, start, hint, template)
            if own and len(record.ids) <= max_tokens:
                records.append(record)
                first = before + sum(trajectory.tokens.completion_mask[:start])  # type: ignore[union-attr]
                places += [first + number for number in own]
        before += sum(trajectory.tokens.completion_mask)  # type: ignore[union-attr]
    if not records:
        return None
    return TaughtCalls(TrainBatch.from_records(records, temperature), torch.tensor(places))
