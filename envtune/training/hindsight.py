"""Hindsight distillation: the policy that has read the hint teaches the call that failed without it.

After a failed call, a hint names what should have come before it. The same policy, given the hint at the end of the
last message *before* the call, is the teacher of that call's tokens: it adds

    weight * clip(log pi(token | hint) - log pi(token), -clip, clip)

to their advantages, the sampled gradient of -KL(pi || teacher). Nothing else of the episode is changed. The idea is
HinT-SD's (arXiv 2605.17873), which distils on the spans that failed alone. Without a guard, token distillation can
unlearn (arXiv 2606.12634): by default only hints count after which the tool's next call helped.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import torch
from jaxtyping import Float, Int
from torch import Tensor

from envtune.chat.template import Template
from envtune.checked import Positive, checked
from envtune.grpo.batch import TrainBatch
from envtune.trajectory import TokenRecord, Trajectory


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
    trajectories: Sequence[Trajectory], guard: str, template: Template, temperature: float, max_tokens: int
) -> TaughtCalls | None:
    """Return the calls with hints of a batch's trajectories, in their order; None if there are none.

    Args:
        trajectories: those of the batch, with tokens.
        guard: as in ``Hindsight``.
        template: the template that they were written with.
        temperature: of the sampler.
        max_tokens: calls whose history with the hint is longer are left out.
    """
    records: list[TokenRecord] = []
    places: list[int] = []
    sampled = 0
    for trajectory in trajectories:
        assert trajectory.tokens is not None
        hints = _hints(trajectory, guard)
        for (start, end), hint in zip(trajectory.tokens.completions, hints, strict=True):
            taught = _taught(trajectory.tokens, start, end, hint, template) if hint else None
            if taught is not None and len(taught.ids) <= max_tokens:
                records.append(taught)
                places += range(sampled + end - start - sum(taught.completion_mask), sampled + end - start)
            sampled += end - start
    return TaughtCalls(TrainBatch.from_records(records, temperature), torch.tensor(places)) if records else None


def taught_advantages(
    advantages: Float[Tensor, "T"], log_ratios: Float[Tensor, "S"], calls: TaughtCalls, settings: Hindsight
) -> Float[Tensor, "T"]:
    """Return a batch's advantages with the teacher's part.

    Args:
        advantages: of all sampled tokens.
        log_ratios: log pi(token | hint) - log pi(token) of the calls' tokens, in nats.
        calls: the calls.
        settings: weight and bound.
    """
    bounded = log_ratios.clamp(-settings.clip, settings.clip)
    return advantages.index_add(0, calls.places, settings.weight * bounded)


def _hints(trajectory: Trajectory, guard: str) -> list[str]:
    """Return the hints of each step that are taught, one a line; empty for a step without."""
    recoveries = iter(trajectory.recoveries)
    hints = []
    for step in trajectory.steps:
        hinted = [(result.hint.text, next(recoveries)) for result in step.results if result.hint]
        hints.append("\n".join(f"Hint: {text}" for text, recovered in hinted if recovered or guard == "none"))
    return hints


def _taught(tokens: TokenRecord, start: int, end: int, hint: str, template: Template) -> TokenRecord:
    """Return the completion after its history with the hint; the tokens of its calls count as sampled."""
    completion = tokens.ids[start:end]
    calls = template.protocol.start_of_calls(template.decode(completion))
    # Decoding a prefix may add a character for an incomplete one, so the length of the text does not fall.
    thought = bisect_left(range(len(completion)), calls + 1, key=lambda n: len(template.decode(completion[: n + 1])))
    history = template.with_note(tokens.ids[:start], hint)
    logprobs = tokens.logprobs[start + thought : end]
    before = len(history) + thought
    return TokenRecord(
        ids=(*history, *completion),
        completion_mask=(False,) * before + (True,) * len(logprobs),
        logprobs=(0.0,) * before + logprobs,
        # What precedes the hint is shared by the calls of a group; a hint in the first message follows all but its end.
        prompt_length=min(tokens.prompt_length, start - len(template.generation_ids)),
    )
