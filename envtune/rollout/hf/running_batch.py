"""Continuous batching: sequences enter the batch, sample, wait for their observation, continue and leave.

A forward pass contains only sequences that sample a token, and observations are prefilled in the pass that decodes the
other sequences.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from transformers import PreTrainedModel

from envtune.rollout.generator import Completion, Request
from envtune.rollout.hf.kv_attention import Feed, StepPass
from envtune.rollout.hf.kv_rows import GROWTH, KvRows
from envtune.rollout.hf.prefix_cache import PASS_TOKENS, CachedPrompt, PrefixCache
from envtune.rollout.hf.sampling import Sampling


@dataclass(frozen=True, slots=True)
class BatchLimits:
    """Limits on the size of a batch."""

    max_sequences: int
    """Sequences in the KV cache."""
    max_cache_tokens: int
    """Tokens in the KV cache; a single sequence may exceed this limit."""


class TokenSequence:
    """A token sequence in progress: requests that extend each other, sampled one at a time. No tensors.

    Args:
        number: identifies the sequence in ``Generator.run``.
        request: the first request.
    """

    def __init__(self, number: int, request: Request) -> None:
        self.number = number
        self.prompt_ids = request.ids
        """Token ids before the first completion."""
        self.preempted = False
        """True if its keys and values were dropped because the cache was full."""
        self.begin(request)

    def begin(self, request: Request) -> None:
        """Start sampling ``request``."""
        self.request = request
        self._uniforms = np.random.default_rng(request.seed).random(request.max_new_tokens)
        self._ids: list[int] = []
        self._logprobs: list[float] = []
        self._ended = False

    @property
    def tail_length(self) -> int:
        """Tokens after the prompt if the request is sampled to its limit."""
        return len(self.request.ids) - len(self.prompt_ids) + self.request.max_new_tokens

    @property
    def next_uniform(self) -> float:
        """The number in [0, 1) from the request's seed that selects the next token."""
        return float(self._uniforms[len(self._ids)])

    @property
    def finished(self) -> bool:
        """True if the completion has ended or reached its length limit."""
        return self._ended or len(self._ids) == self.request.max_new_tokens

    @property
    def completion(self) -> Completion:
        """The tokens sampled so far, with their log-probs in nats."""
        return Completion(tuple(self._ids), tuple(self._logprobs), self._ended)

    def append(self, token: int, logprob: float, stop_ids: frozenset[int]) -> None:
        """Append a sampled token; a token in ``stop_ids`` or the request's ``end_ids`` ends the completion."""
        self._ids.append(token)
        self._logprobs.append(logprob)
        self._ended = token in stop_ids or token in self.request.end_ids

    def is_extended_by(self, request: Request) -> bool:
        """Return True if ``request`` begins with all token ids of the current request and its completion."""
        current = self.request.ids + tuple(self._ids)
        return len(request.ids) > len(current) and request.ids[: len(current)] == current


@dataclass(slots=True, eq=False)
class BatchSlot:
    """A sequence in the batch and the location of its keys and values."""

    sequence: TokenSequence
    prompt: CachedPrompt
    row: int
    """Row of the tails with the tokens after the prompt."""
    pending: tuple[int, ...] = ()
    """Token ids to feed before the next token is sampled; empty if the prompt's logits are used."""


class RunningBatch:
    """Slots in consecutive rows: first those that sample, then those that wait for an observation.

    Args:
        stop_ids: token ids that end every completion.
    """

    def __init__(
        self, model: PreTrainedModel, sampling: Sampling, limits: BatchLimits, stop_ids: frozenset[int]
    ) -> None:
        self.fed_tokens = 0
        """Tokens that went through the model."""
        self._model, self._sampling, self._limits, self._stop_ids = model, sampling, limits, stop_ids
        self._prompts, self._tails = PrefixCache(), KvRows()
        self._waiting: deque[TokenSequence] = deque()
        self._slots: list[BatchSlot] = []
        self._sampling_count = 0
        self._joining: list[BatchSlot] = []

    @property
    def busy(self) -> bool:
        """True if a sequence samples or waits for a slot."""
        return bool(self._sampling_count or self._joining or self._waiting)

    def enter(self, number: int, request: Request) -> None:
        """Queue a new sequence for a slot, first in, first out."""
        self._waiting.append(TokenSequence(number, request))

    def resume(self, slot: BatchSlot, request: Request | None) -> None:
        """Continue the sequence of a slot that ``step`` has returned; None ends the sequence.

        A request that does not extend its sequence starts a new one.
        """
        sequence = slot.sequence
        if request is None:
            self._vacate(slot)
        elif not sequence.is_extended_by(request):
            self._vacate(slot)
            self.enter(sequence.number, request)
        else:
            sequence.begin(request)
            if self._has_room(sequence, len(self._slots)):
                self._reserve(sequence, len(self._slots))
                self._joining.append(slot)
            else:
                sequence.preempted = True
                self._vacate(slot)
                self._waiting.append(sequence)

    def step(self) -> list[BatchSlot]:
        """Sample one token for every ready sequence, and return the slots with a finished completion."""
        while self._waiting and self._has_room(self._waiting[0], len(self._slots) + 1):
            self._occupy(self._waiting.popleft())
        self.fed_tokens += self._prompts.compute(self._model)
        self._join()
        slots = self._slots[: self._sampling_count]
        if not slots:
            return []
        ids, logprobs = self._sampling.choose(self._logits(slots), [slot.sequence.next_uniform for slot in slots])
        for slot, token, logprob in zip(slots, ids, logprobs, strict=True):
            slot.sequence.append(token, logprob, self._stop_ids)
            slot.pending = (token,)
        finished = [slot for slot in slots if slot.sequence.finished]
        for slot in finished:
            self._sampling_count -= 1
            self._swap(slot, self._sampling_count)
        return finished

    def _logits(self, slots: list[BatchSlot]) -> Tensor:
        """Feed pending tokens and return logits [slot, vocabulary]. Slots without pending tokens are the last ones."""
        feeds = [Feed(slot.prompt.row, slot.row, slot.pending) for slot in slots if slot.pending]
        logits = [slot.prompt.logits for slot in slots[len(feeds) :]]
        if feeds:
            kv_pass = StepPass(self._prompts.rows, self._tails, feeds, self._model.device)
            self.fed_tokens += sum(len(feed.tokens) for feed in feeds)
            logits.insert(0, self._model(**kv_pass.arguments).logits[0])
        return torch.cat(logits)

    def _join(self) -> None:
        """Move joining slots to the sampling ones, as many as fit one forward pass, in the order of ``_logits``."""
        for slot in self._joining:
            held = len(slot.sequence.prompt_ids) + self._tails.lengths[slot.row]
            slot.pending = slot.sequence.request.ids[held:]
        self._joining.sort(key=lambda slot: (not slot.pending, len(slot.pending)))
        tokens = 0
        while self._joining and (tokens == 0 or tokens + len(self._joining[0].pending) <= PASS_TOKENS):
            slot = self._joining.pop(0)
            tokens += len(slot.pending)
            self._swap(slot, self._sampling_count)
            self._sampling_count += 1

    def _has_room(self, sequence: TokenSequence, slots: int) -> bool:
        """Return whether ``sequence`` fits as one of ``slots`` occupied slots."""
        tokens = self._prompts.needed_tokens(sequence.prompt_ids)
        tokens += self._tails.needed_tokens(slots, self._room_of(sequence))
        return slots == 1 or (slots <= self._limits.max_sequences and tokens <= self._limits.max_cache_tokens)

    def _reserve(self, sequence: TokenSequence, slots: int) -> None:
        free = self._limits.max_cache_tokens - self._prompts.needed_tokens(sequence.prompt_ids)
        self._tails.reserve(slots, self._room_of(sequence), free)

    def _room_of(self, sequence: TokenSequence) -> int:
        # Spare room after a preemption avoids another one a few tokens later.
        return int(sequence.tail_length * (GROWTH if sequence.preempted else 1))

    def _occupy(self, sequence: TokenSequence) -> None:
        self._reserve(sequence, len(self._slots) + 1)
        free = self._limits.max_cache_tokens - self._tails.needed_tokens(len(self._slots) + 1, 0)
        prompt = self._prompts.acquire(sequence.prompt_ids, free)
        self._slots.append(BatchSlot(sequence, prompt, self._tails.append()))
        self._joining.append(self._slots[-1])
        sequence.preempted = False

    def _vacate(self, slot: BatchSlot) -> None:
        self._swap(slot, len(self._slots) - 1)
        self._slots.pop()
        self._tails.pop()
        self._prompts.release(slot.prompt)

    def _swap(self, slot: BatchSlot, row: int) -> None:
        """Exchange a slot with the one in ``row``."""
        other, previous = self._slots[row], slot.row
        self._tails.swap(previous, row)
        self._slots[row], self._slots[previous] = slot, other
        slot.row, other.row = row, previous
