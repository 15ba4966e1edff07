"""The tokens of one episode while it runs: what was fed, what was sampled, never tokenised again."""

from __future__ import annotations

from collections.abc import Sequence

from envtune.rollout.generator import Completion
from envtune.trajectory import TokenRecord


class Transcript:
    """Grows by the environment's ids and by sampled completions; becomes a ``TokenRecord`` at the end."""

    def __init__(self, prompt: Sequence[int]) -> None:
        self._prompt_length = len(prompt)
        self._ids = list(prompt)
        self._mask = [False] * len(prompt)
        self._logprobs = [0.0] * len(prompt)

    @property
    def ids(self) -> tuple[int, ...]:
        return tuple(self._ids)

    @property
    def response_length(self) -> int:
        """Tokens after the prompt, the environment's included."""
        return len(self._ids) - self._prompt_length

    def feed(self, ids: Sequence[int]) -> None:
        """Appends ids that the environment wrote."""
        self._ids.extend(ids)
        self._mask.extend([False] * len(ids))
        self._logprobs.extend([0.0] * len(ids))

    def sample(self, completion: Completion) -> None:
        """Appends ids that the policy sampled, with their behaviour log-probs."""
        self._ids.extend(completion.ids)
        self._mask.extend([True] * len(completion.ids))
        self._logprobs.extend(completion.logprobs)

    def record(self) -> TokenRecord:
        """The episode's tokens up to the last sampled one: nothing after it is ever read."""
        end = len(self._mask) - self._mask[::-1].index(True) if True in self._mask else len(self._mask)
        return TokenRecord(
            tuple(self._ids[:end]), tuple(self._mask[:end]), tuple(self._logprobs[:end]), self._prompt_length
        )
