"""A token sequence in progress: prompt, completions and observations of an episode. No tensors."""

from __future__ import annotations

import numpy as np

from envtune.rollout.generator import Completion, Request


class TokenSequence:
    """Requests that extend each other, sampled one at a time.

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
