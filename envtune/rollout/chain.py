"""A chain of requests while it is sampled: what the one of the moment has got so far. Touches no tensor."""

from __future__ import annotations

import numpy as np

from envtune.rollout.generator import Completion, Request


class Chain:
    """The requests of one chain that continue each other, one at a time.

    ``prompt_ids`` are what the first of them held. ``lost_seat``: there was no room for its keys and values any more.
    """

    def __init__(self, number: int, request: Request) -> None:
        self.number = number
        self.prompt_ids = request.ids
        self.lost_seat = False
        self.begin(request)

    def begin(self, request: Request) -> None:
        """Goes on to ``request``, of which nothing is sampled yet."""
        self.request = request
        self._noise = np.random.default_rng(request.seed).random(request.max_new_tokens)
        self._ids: list[int] = []
        self._logprobs: list[float] = []
        self._ended = False

    @property
    def tail_length(self) -> int:
        """Tokens behind the prompt once the request is sampled to its limit."""
        return len(self.request.ids) - len(self.prompt_ids) + self.request.max_new_tokens

    @property
    def next_noise(self) -> float:
        return float(self._noise[len(self._ids)])

    @property
    def finished(self) -> bool:
        return self._ended or len(self._ids) == self.request.max_new_tokens

    @property
    def completion(self) -> Completion:
        return Completion(tuple(self._ids), tuple(self._logprobs), self._ended)

    def append(self, token: int, logprob: float, stop_ids: frozenset[int]) -> None:
        """Takes a sampled token, which ends the request if it is one of ``stop_ids`` or of the request's own."""
        self._ids.append(token)
        self._logprobs.append(logprob)
        self._ended = token in stop_ids or token in self.request.end_ids

    def is_continued_by(self, request: Request) -> bool:
        """Whether ``request`` begins with all ids that this chain's request held and sampled."""
        known = self.request.ids + tuple(self._ids)
        return len(request.ids) > len(known) and request.ids[: len(known)] == known
