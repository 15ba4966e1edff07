"""The choice of the sampler's way by measurement: its log-probs must be those of the untouched model.

Each way plays a short group: sequences that share a prompt and others of different lengths, one of them longer than the
sliding window where that is affordable, all with a second request behind an observation.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import TypeAlias

import torch
from transformers import PreTrainedModel

from envtune.errors import UserError
from envtune.rollout.generator import Advance, Completion, Request
from envtune.rollout.hf.sampling import NonFiniteLogits
from envtune.rollout.inference import attention_obstacle
from envtune.rollout.untouched import (
    NotEqual,
    PathChoice,
    Tokens,
    Untouched,
    attempt,
    crossed_window,
    first_equal,
)
from envtune.trajectory import TokenRecord

log = logging.getLogger(__name__)

# Plays requests at temperature 1, without end tokens.
Play: TypeAlias = Callable[[Sequence[Request], Advance], None]

SHARED, PADDED, EQUAL_LENGTHS, SINGLE = "shared", "padded", "equal lengths", "single"
WAYS = (SHARED, PADDED, EQUAL_LENGTHS, SINGLE)
_OF_PATH = {
    "auto": WAYS,
    "shared": (SHARED,),
    "plain": (PADDED, EQUAL_LENGTHS, SINGLE),
}
_COST = {
    PADDED: "in padded batches",
    EQUAL_LENGTHS: "in batches of equal lengths, because padded ones are not equal",
    SINGLE: "one at a time, because batches are not equal",
}


def choose_way(model: PreTrainedModel, path: PathChoice, ways: Mapping[str, Play], remedy: str) -> str:
    """Return the name of the first of the ``ways`` of ``path`` that is equal to the untouched model.

    Raises:
        UserError: none is equal; the sentence ends with ``remedy``.
    """
    chosen, reasons = first_equal({way: partial(_measured, model, way, ways[way]) for way in _OF_PATH[path]})
    name = type(model).__name__
    if chosen is None:
        found = "; ".join(f"{way}: {reason}" for way, reason in reasons.items())
        raise UserError(f"the embedded generator cannot sample from {name} ({found}): {remedy}")
    if SHARED in reasons:
        log.warning(
            "%s is sampled on the plain path, because %s: every completion feeds its conversation from the beginning, "
            "%s",
            name,
            reasons[SHARED],
            _COST[chosen],
        )
    return chosen


def _measured(model: PreTrainedModel, way: str, play: Play) -> str:
    obstacle = attention_obstacle(model) if way == SHARED else None
    if obstacle:
        raise NotEqual(obstacle)
    group = _Group(model)
    with attempt(model):
        try:
            play(group.first, group.advance)
        except NonFiniteLogits as error:
            # Of an untouched model that is damaged, or of this way alone.
            raise NotEqual("its logits are NaN or infinite") from error
    records = group.records
    logprobs = [
        logprob
        for record in records
        for logprob, sampled in zip(record.logprobs, record.completion_mask, strict=True)
        if sampled
    ]
    Untouched.of(model, records).require_equal(torch.tensor(logprobs), "its log-probs")
    return way


class _Group:
    """The sequences of one measurement and what was sampled in them."""

    def __init__(self, model: PreTrainedModel) -> None:
        tokens = Tokens(model)
        prompt, other, window = tokens.take(12), tokens.take(5), crossed_window(model)
        prompts = [prompt, prompt, prompt, other] + ([tokens.take(max(4, window - 3))] if window else [])
        limits = (3, 9, 6, 4, 8)
        self.first = [Request(ids, seed, limits[seed]) for seed, ids in enumerate(prompts)]
        self._observations = [tokens.take(1 + number % 3) for number in range(len(prompts))]
        self._requests = [[request] for request in self.first]
        self._completions: list[list[Completion]] = [[] for _ in self.first]

    def advance(self, number: int, completion: Completion) -> Request | None:
        """Record a completion; return the request behind the observation that follows the first one."""
        self._completions[number].append(completion)
        last = self._requests[number][-1]
        if len(self._requests[number]) == 2:
            return None
        ids = last.ids + completion.ids + self._observations[number]
        self._requests[number].append(Request(ids, last.seed + 100, 3))
        return self._requests[number][-1]

    @property
    def records(self) -> list[TokenRecord]:
        """The played rows, with the sampler's log-probs."""
        return [_record(*row) for row in zip(self._requests, self._completions, strict=True)]


def _record(requests: Sequence[Request], completions: Sequence[Completion]) -> TokenRecord:
    ids = requests[-1].ids + completions[-1].ids
    logprobs = [0.0] * len(ids)
    mask = [False] * len(ids)
    for request, completion in zip(requests, completions, strict=True):
        place = slice(len(request.ids), len(request.ids) + len(completion.ids))
        logprobs[place], mask[place] = completion.logprobs, [True] * len(completion.ids)
    return TokenRecord(ids, tuple(mask), tuple(logprobs), len(requests[0].ids))
