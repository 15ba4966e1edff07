"""The prompts of running chains, each computed and held once for all chains that begin with it. Samples nothing."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor
from transformers import PreTrainedModel

from envtune.rollout.kv_attention import PromptPass
from envtune.rollout.kv_rows import KvRows

# Tokens of one forward pass: enough to fill a device, few enough that activations stay small beside the cache.
PASS_TOKENS = 16_384
# A shorter common beginning is computed again: not worth a copy and a pass behind it.
MIN_COMMON = 16


@dataclass(slots=True, eq=False)
class Prompt:
    """A prompt at ``row`` of the rows, used by ``users`` chains. ``logits`` [1, vocabulary] follow its last token;
    there are none before it is computed."""

    ids: tuple[int, ...]
    row: int
    users: int = 0
    logits: Tensor = field(default_factory=lambda: torch.empty(0))
    array: np.ndarray = field(init=False)

    def __post_init__(self) -> None:
        self.array = np.array(self.ids)

    @property
    def computed(self) -> bool:
        return self.logits.numel() > 0

    def common_length(self, other: Prompt) -> int:
        """How many tokens both begin with, but at most all of ``other`` except its last."""
        length = min(len(self.ids), len(other.ids) - 1)
        different = self.array[:length] != other.array[:length]
        return int(different.argmax()) if different.any() else length


class Prompts:
    """Prompts in rows without gaps.

    A prompt stays while chains use it. The one that was taken last stays longer: chains of one group begin one after
    the other, so the next may begin with it too.
    """

    def __init__(self) -> None:
        self.rows = KvRows()
        self._prompts: list[Prompt] = []
        self._by_ids: dict[tuple[int, ...], Prompt] = {}
        self._latest: Prompt | None = None

    def needed_slots(self, ids: tuple[int, ...]) -> int:
        """Slots that would be allocated with the prompt ``ids`` in place."""
        return self.rows.needed_slots(len(self._prompts) + (ids not in self._by_ids), len(ids))

    def take(self, ids: tuple[int, ...], max_slots: int) -> Prompt:
        """The prompt for one more chain; ``compute`` must run before it is read."""
        prompt = self._by_ids.get(ids)
        if prompt is None:
            self.rows.reserve(len(self._prompts) + 1, len(ids), max_slots)
            prompt = self._by_ids[ids] = Prompt(ids, self.rows.append())
            self._prompts.append(prompt)
        prompt.users += 1
        before, self._latest = self._latest, prompt
        if before is not None:
            self._drop_unused(before)
        return prompt

    def release(self, prompt: Prompt) -> None:
        """One chain less uses it."""
        prompt.users -= 1
        self._drop_unused(prompt)

    def compute(self, model: PreTrainedModel) -> int:
        """Feeds every prompt taken since, and returns the number of tokens it took.

        What a prompt has in common with the beginning of another one (the same tools in front of another task) is
        copied.
        """
        fed = 0
        ready = [prompt for prompt in self._prompts if prompt.computed]
        for prompt in self._prompts:
            if not prompt.computed:
                fed += self._feed(model, prompt, ready)
                ready.append(prompt)
        return fed

    def _feed(self, model: PreTrainedModel, prompt: Prompt, ready: list[Prompt]) -> int:
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

    def _drop_unused(self, prompt: Prompt) -> None:
        if prompt.users or prompt is self._latest:
            return
        last = self._prompts[-1]
        self.rows.swap(prompt.row, last.row)
        self._prompts[prompt.row], last.row = last, prompt.row
        self._prompts.pop()
        self.rows.pop()
        del self._by_ids[prompt.ids]
