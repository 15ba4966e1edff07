"""Samples from the trainer's transformers model on any device.

On the shared path all episodes are in one running batch, and every token is fed once: sequences with equal prompts
share the prompt's KV cache, and a sequence's next request feeds only its new tokens. The cache is dropped after a run.
Models to which that is not equal (sliding windows, recurrent states) take the plain path (`plain_rows.py`).
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from functools import partial
from typing import Annotated

from pydantic import Field
from transformers import PreTrainedModel
from typing_extensions import override

from envtune.checked import Count, checked
from envtune.rollout.generator import Advance, BrokenPolicy, Generator, Request, Temperature
from envtune.rollout.hf.kv_attention import ATTENTION
from envtune.rollout.hf.plain_rows import PlainRows
from envtune.rollout.hf.running_batch import BatchLimits, BatchSlot, RunningBatch
from envtune.rollout.hf.sampler_choice import PADDED, SHARED, SINGLE, WAYS, choose_way
from envtune.rollout.hf.sampling import NonFiniteLogits, Sampling
from envtune.rollout.inference import end_tokens, inference, own_attention
from envtune.rollout.untouched import PathChoice


@checked
class HFGenerator(Generator):
    """The embedded generator. Call ``update_weights`` first, and after every change of the weights.

    Tokens are sampled by inverting the cumulative distribution at uniform numbers from the request's seed, so an
    episode does not depend on the rest of the batch (up to rounding in larger matrix products). Log-probs cover the
    whole vocabulary at ``temperature``, before the ``top_p`` cut, as the trainer recomputes them.

    Args:
        max_batch_size: sequences in the batch.
        max_cache_tokens: size of the KV cache in tokens; a single sequence may exceed it. If the cache is full,
            sequences are preempted when they continue, and recomputed later.
        path: "shared" or "plain", or "auto" for the first that is equal to the model; measured for each model.
    """

    def __init__(
        self,
        temperature: Temperature = 1.0,
        top_p: Annotated[float, Field(gt=0, le=1, description="1 samples from the whole vocabulary")] = 1.0,
        max_batch_size: Annotated[int, Field(ge=1, description="completions decoded together")] = 64,
        max_cache_tokens: Count = 262_144,
        path: PathChoice = "auto",
    ) -> None:
        self.temperature, self.top_p = temperature, top_p
        self.policy_version, self.fed_tokens = -1, 0
        self.waiting_seconds = 0.0
        """Time for which sampling waited for ``advance``, in seconds."""
        self._limits = BatchLimits(max_batch_size, max_cache_tokens)
        self._model: PreTrainedModel | None = None
        self._stop_ids: frozenset[int] = frozenset()
        self._path, self._way = path, SHARED

    @property
    def way(self) -> str:
        """How the model of the last ``update_weights`` is sampled, one of `sampler_choice.WAYS`."""
        return self._way

    @override
    def update_weights(self, model: PreTrainedModel, policy_version: int) -> None:
        """Share ``model`` without a copy.

        Raises:
            UserError: no way to sample is equal to a model that is given for the first time.
        """
        if model is not self._model:
            self._way = self._measured_way(model)
        self._model = model
        self._stop_ids = end_tokens(model)
        self.policy_version = policy_version

    @override
    def run(self, first: Sequence[Request], advance: Advance, greedy: bool = False) -> None:
        if self._model is None:
            raise RuntimeError("the generator has no weights; call update_weights first")
        sampling = Sampling(self.temperature, self.top_p, greedy)
        try:
            played = self._played(self._model, self._way, sampling, self._stop_ids, first, advance)
        except NonFiniteLogits as error:
            raise BrokenPolicy(self.policy_version) from error
        self.fed_tokens += played.fed_tokens
        self.waiting_seconds += played.waiting_seconds

    def _measured_way(self, model: PreTrainedModel) -> str:
        def play(way: str, first: Sequence[Request], advance: Advance) -> None:
            self._played(model, way, Sampling(1.0, 1.0, greedy=False), frozenset(), first, advance)

        remedy = "choose a model such as Qwen or Llama, or the vLLM generator"
        return choose_way(model, self._path, {way: partial(play, way) for way in WAYS}, remedy)

    def _played(
        self,
        model: PreTrainedModel,
        way: str,
        sampling: Sampling,
        stop_ids: frozenset[int],
        first: Sequence[Request],
        advance: Advance,
    ) -> Played:
        if way == SHARED:
            with inference(model, ATTENTION), EnvironmentThread(advance) as environment:
                return _play_shared(RunningBatch(model, sampling, self._limits, stop_ids), first, environment)
        limits = replace(self._limits, max_sequences=1) if way == SINGLE else self._limits
        rows = PlainRows(model, sampling, limits, stop_ids, padded=way == PADDED)
        with inference(model, own_attention(model)):
            rows.run(first, advance)
        return Played(rows.fed_tokens, rows.waiting_seconds)


@dataclass(frozen=True, slots=True)
class Played:
    """What a run did."""

    fed_tokens: int
    """Tokens that went through the model."""
    waiting_seconds: float
    """Time for which sampling waited for ``advance``, in seconds."""


def _play_shared(batch: RunningBatch, first: Sequence[Request], environment: EnvironmentThread) -> Played:
    for number, request in enumerate(first):
        batch.enter(number, request)
    while batch.busy or environment.busy:
        for slot, following in environment.submit(batch.step()):
            batch.resume(slot, following)
    return Played(batch.fed_tokens, environment.waiting_seconds)


class EnvironmentThread(AbstractContextManager["EnvironmentThread"]):
    """Runs the environment (tool calls, observations) in a thread while other episodes are decoded.

    Results of a submission after one decoding step are collected after the next one, however long either takes. The
    order in which requests return to the batch therefore depends only on the completions, not on timing.
    """

    def __init__(self, advance: Advance) -> None:
        self.waiting_seconds = 0.0
        """Time for which ``submit`` waited for the environment, in seconds."""
        self._advance = advance
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="environment")
        self._running: Future[list[tuple[BatchSlot, Request | None]]] | None = None

    def __exit__(self, *_: object) -> None:
        self._thread.shutdown(wait=True, cancel_futures=True)

    @property
    def busy(self) -> bool:
        """True if results of the last submission have not been collected."""
        return self._running is not None

    def submit(self, finished: Sequence[BatchSlot]) -> list[tuple[BatchSlot, Request | None]]:
        """Submit slots with a finished completion and collect the results of the previous submission.

        Returns:
            Each slot of the previous submission with the request that follows, None where its sequence ends.

        Raises:
            Exception: an error of ``advance`` in the previous submission.
        """

        def advance_all() -> list[tuple[BatchSlot, Request | None]]:
            return [(slot, self._advance(slot.sequence.number, slot.sequence.completion)) for slot in finished]

        previous = self._running
        self._running = self._thread.submit(advance_all) if finished else None
        if previous is None:
            return []
        started = time.perf_counter()
        results = previous.result()
        self.waiting_seconds += time.perf_counter() - started
        return results
