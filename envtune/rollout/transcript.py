"""The token ids of an episode in progress. Text is never tokenised again."""

from __future__ import annotations

from collections.abc import Sequence

from envtune.rollout.generator import Completion
from envtune.trajectory import TokenRecord


class Transcript:
    """The prompt's ids, followed by completions and the environment's ids."""

    def __init__(self, prompt: Sequence[int]) -> None:
        self._prompt_length = len(prompt)
        self._ids = list(prompt)
        self._mask = [False] * len(prompt)
        self._logprobs = [0.0] * len(prompt)

    @property
    def ids(self) -> tuple[int, ...]:
        """All ids so far."""
        return tuple(self._ids)

    @property
    def response_length(self) -> int:
        """Number of tokens after the prompt, the environment's included."""
        return len(self._ids) - self._prompt_length

    def feed(self, ids: Sequence[int]) -> None:
        """Append ids of the environment."""
        self._ids.extend(ids)
        self._mask.extend([False] * len(ids))
        self._logprobs.extend([0.0] * len(ids))

    def sample(self, completion: Completion) -> None:
        """Append sampled ids with their behaviour log-probs."""
        self._ids.extend(completion.ids)
        self._mask.extend([True] * len(completion.ids))
        self._logprobs.extend(completion.logprobs)

    def record(self) -> TokenRecord:
        """Return the tokens up to the last sampled one. Later tokens do not take part in training."""
        end = len(self._mask) - self._mask[::-1].index(True) if True in self._mask else len(self._mask)
        return TokenRecord(
            tuple(self._ids[:end]), tuple(self._mask[:end]), tuple(self._logprobs[:end]), self._prompt_length
        )
