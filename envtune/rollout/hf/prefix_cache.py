"""Prefix caching: keys and values of prompts, computed and stored once for all sequences that begin with them."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor
from transformers import PreTrainedModel

from envtune.rollout.hf.kv_attention import PromptPass
from envtune.rollout.hf.kv_rows import KvRows

# Tokens per forward pass: enough to saturate a device, few enough that activations stay small beside the cache.
PASS_TOKENS = 16_384
# Minimum length of a prefix to copy, in tokens. A shorter one is recomputed: copying costs more.
MIN_COMMON = 16


@dataclass(slots=True, eq=False)
class CachedPrompt:
    """A prompt whose keys and values are in the cache."""

    ids: tuple[int, ...]
    row: int
    """Row in the prompts' ``KvRows``."""
    users: int = 0
    """Number of sequences in the batch that begin with this prompt."""
    logits: Tensor = field(default_factory=lambda: torch.empty(0))
    """[1, vocabulary], after the last token; empty until ``PrefixCache.compute``."""
    array: np.ndarray = field(init=False)
    """``ids`` as an array, for fast comparison."""

    def __post_init__(self) -> None:
        self.array = np.array(self.ids)

    @property
    def computed(self) -> bool:
        """True once keys, values and logits are in the cache."""
        return self.logits.numel() > 0

    def common_length(self, other: CachedPrompt) -> int:
        """Return the length in tokens of the common prefix, excluding the last token of ``other``."""
        length = min(len(self.ids), len(other.ids) - 1)
        different = self.array[:length] != other.array[:length]
        return int(different.argmax()) if different.any() else length


class PrefixCache:
    """Prompts in consecutive rows.

    A prompt stays cached while sequences use it. The latest one also stays without users: sequences of a group start
    one after another, so the next one may share it.
    """

    def __init__(self) -> None:
        self.rows = KvRows()
        self._prompts: list[CachedPrompt] = []
        self._by_ids: dict[tuple[int, ...], CachedPrompt] = {}
        self._latest: CachedPrompt | None = None

    def needed_tokens(self, ids: tuple[int, ...]) -> int:
        """Return the allocation in tokens with the prompt ``ids`` in the cache."""
        return self.rows.needed_tokens(len(self._prompts) + (ids not in self._by_ids), len(ids))

    def acquire(self, ids: tuple[int, ...], max_tokens: int) -> CachedPrompt:
        """Return the prompt ``ids`` for one more sequence; call ``compute`` before reading it.

        Args:
            max_tokens: limit on the allocation with spare rows, in tokens.
        """
        prompt = self._by_ids.get(ids)
        if prompt is None:
            self.rows.reserve(len(self._prompts) + 1, len(ids), max_tokens)
            prompt = self._by_ids[ids] = CachedPrompt(ids, self.rows.append())
            self._prompts.append(prompt)
        prompt.users += 1
        previous, self._latest = self._latest, prompt
        if previous is not None:
            self._drop_unused(previous)
        return prompt

    def release(self, prompt: CachedPrompt) -> None:
        """Remove one user of the prompt, and drop the prompt after its last user."""
        prompt.users -= 1
        self._drop_unused(prompt)

    def compute(self, model: PreTrainedModel) -> int:
        """Run the model on the prompts acquired since the last call, and return the number of computed tokens.

        The longest prefix shared with another prompt (tool documents before a different task) is copied.
        """
        fed = 0
        ready = [prompt for prompt in self._prompts if prompt.computed]
        for prompt in self._prompts:
            if not prompt.computed:
                fed += self._feed(model, prompt, ready)
                ready.append(prompt)
        return fed

    def _feed(self, model: PreTrainedModel, prompt: CachedPrompt, ready: list[CachedPrompt]) -> int:
        nearest = max(ready, key=lambda other: other.common_length(prompt), default=None)
        start = nearest.common_length(prompt) if nearest else 0
        if nearest and start >= MIN_COMMON:
            self.rows.copy(nearest.row, prompt.row, start)
        else:
            start = 0
        for first in range(start, len(prompt.ids), PASS_TOKENS):
            tokens = prompt.ids[first : first + PASS_TOKENS]
            kv_pass = PromptPass(self.rows, prompt.row, tokens, model.device)
            prompt.logits = model(**kv_pass.arguments).logits[0]
        return len(prompt.ids) - start

    def _drop_unused(self, prompt: CachedPrompt) -> None:
        if prompt.users or prompt is self._latest:
            return
        last = self._prompts[-1]
        self.rows.swap(prompt.row, last.row)
        self._prompts[prompt.row], last.row = last, prompt.row
        self._prompts.pop()
        self.rows.pop()
        del self._by_ids[prompt.ids]
