"""Generators for runs of train.py: one replays the tokens of another run, the other kills its engine."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from small_engine import engine_process

from envtune import trajectory_file
from envtune.rollout.generator import Advance, Completion, Request
from envtune.rollout.hf.hf_generator import HFGenerator
from envtune.rollout.vllm.placement import colocated
from envtune.rollout.vllm.vllm_generator import VLLMGenerator
from envtune.trajectory import TokenRecord


class Replay(HFGenerator):
    """`rollout=hf` with the tokens of the run in ``folder`` and log-probs of its own model."""

    def __init__(self, folder: str, **arguments: Any) -> None:
        super().__init__(**arguments)
        self._folder = Path(folder)

    def run(self, first: Sequence[Request], advance: Advance, greedy: bool = False) -> None:
        if greedy:
            return super().run(first, advance, greedy)
        path = self._folder / f"trajectories/train/update_{self.policy_version + 1:06d}.jsonl"
        records = [trajectory_file.from_json(record).tokens for record in trajectory_file.read(path)]
        for number, request in enumerate(first):
            # Any episode of the group: their order in the update does not matter.
            episode = next(record for record in records if record.ids[: record.prompt_length] == request.ids)
            records.remove(episode)
            following: Request | None = request
            while following is not None:
                following = advance(number, self._repeat(episode, following))
        assert records == []
        return None

    @torch.no_grad()
    def _repeat(self, episode: TokenRecord, request: Request) -> Completion:
        start = len(request.ids)
        assert episode.ids[:start] == request.ids
        rest = episode.completion_mask[start:]
        end = start + (rest.index(False) if False in rest else len(rest))
        attention = self._model.config._attn_implementation
        self._model.set_attn_implementation("eager")
        logits = self._model(input_ids=torch.tensor([episode.ids[:end]]), use_cache=False).logits[0, start - 1 : -1]
        self._model.set_attn_implementation(attention)
        ids = episode.ids[start:end]
        logprobs = logits.float().log_softmax(-1).gather(-1, torch.tensor(ids)[:, None])[:, 0]
        return Completion(ids, tuple(logprobs.tolist()), ids[-1] in self._stop_ids.union(request.end_ids))


class Mortal(VLLMGenerator):
    """A generator whose engine is killed in the rollout after update ``killed_after``, at the first completion."""

    def __init__(self, killed_after: int, **arguments: Any) -> None:
        self.__dict__ = colocated(**arguments).__dict__
        self._killed_after = killed_after

    def run(self, first: Sequence[Request], advance: Advance, greedy: bool = False) -> None:
        doomed = [engine_process()] if self.policy_version == self._killed_after and not greedy else []

        def advance_and_kill(number: int, completion: Completion) -> Request | None:
            while doomed:
                doomed.pop().kill()
            return advance(number, completion)

        super().run(first, advance_and_kill, greedy)
