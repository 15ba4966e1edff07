"""Keys and values of prompts, computed and stored once for all sequences that begin with them."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor
from transformers import PreTrainedModel

from envtune.rollout.hf.kv_attention import PromptPass
from envtune.rollout.hf.kv_rows import KvRows

# Tokens of one forward pass: enough to fill a device, few enough that activations stay small beside the cache.
PASS_TOKENS = 16_384
# A shorter common prefix is computed again: a copy and a second forward pass cost more.
MIN_COMMON = 16


@dataclass(slots=True, eq=False)
class CachedPrompt:
    """A prompt whose keys and values are in the cache."""

    ids: tuple[int, ...]
    row: int
    """Its row of the prompts' ``KvRows``."""
    users: int = 0
    """Sequences that begin with it and are in the batch."""
    logits: Tensor = field(default_factory=lambda: torch.empty(0))
    """[1, vocabulary], after its last token; empty until ``PrefixCache.compute``."""
    array: np.ndarray = field(init=False)

    def __post_init__(self) -> None:
        self.array = np.array(self.ids)

    @property
    def computed(self) -> bool:
        return self.logits.numel() > 0

    def common_length(self, other: CachedPrompt) -> int:
        """Return the length of the common prefix, in tokens, without the last token of ``other``."""
        length = min(len(self.ids), len(other.ids) - 1)
        different = self.array[:length] != other.array[:length]
        return int(different.argmax()) if different.any() else length


class PrefixCache:
    """PrefixCache in rows without gaps.

    A prompt stays while chains use it. The one that was taken last stays longer: chains of one group begin one after
    the other, so the next may begin with it too.
    """

    def __init__(self) -> None:
        self.rows = KvRows()
        self._prompts: list[CachedPrompt] = []
        self._by_ids: dict[tuple[int, ...], CachedPrompt] = {}
        self._latest: CachedPrompt | None = None

    def needed_tokens(self, ids: tuple[int, ...]) -> int:
        """Return the tokens of cache that would be allocated with the prompt ``ids`` in it."""
        return self.rows.needed_tokens(len(self._prompts) + (ids not in self._by_ids), len(ids))

    def acquire(self, ids: tuple[int, ...], max_tokens: int) -> CachedPrompt:
        """Return the prompt ``ids`` for one more sequence; call ``compute`` before reading it.

        Args:
            max_tokens: size of the cache, in tokens, up to which rows are allocated ahead.
        """
        prompt = self._by_ids.get(ids)
        if prompt is None:
            self.rows.reserve(len(self._prompts) + 1, len(ids), max_tokens)
            prompt = self._by_ids[ids] = CachedPrompt(ids, self.rows.append())
            self._prompts.append(prompt)
        prompt.users += 1
        before, self._latest = self._latest, prompt
        if before is not None:
            self._drop_unused(before)
        return prompt

    def release(self, prompt: CachedPrompt) -> None:
        """Count one sequence less as user, and drop the prompt if that was the last one."""
        prompt.users -= 1
        self._drop_unused(prompt)

    def compute(self, model: PreTrainedModel) -> int:
        """Run the model on all prompts acquired since the last call, and return the number of tokens computed.

        The longest prefix shared with another prompt (tool documents before another task) is copied.
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
