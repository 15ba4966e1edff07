"""Samples concurrent requests in a background thread, with the continuous batching of `rollout=hf`."""

from __future__ import annotations

import itertools
import threading
from collections import deque
from concurrent.futures import Future, InvalidStateError

import torch
from transformers import PreTrainedModel

from envtune.rollout.generator import Completion, Request
from envtune.rollout.hf.hf_generator import HFGenerator
from envtune.rollout.hf.kv_attention import ATTENTION
from envtune.rollout.hf.running_batch import BatchLimits, RunningBatch
from envtune.rollout.hf.sampling import Sampling
from envtune.rollout.inference import end_tokens


class Sampler:
    """Samples from ``model`` in batches of at most ``max_batch_size`` completions.

    A batch has one temperature and top_p. Requests with different settings wait until the batch is empty, and later
    requests wait behind them. The KV cache holds ``max_cache_tokens``.

    Raises:
        UserError: the embedded generator does not support the model.
    """

    def __init__(self, model: PreTrainedModel, max_batch_size: int, max_cache_tokens: int) -> None:
        HFGenerator(path="shared").update_weights(model, 0)
        self._model = model.eval()
        model.set_attn_implementation(ATTENTION)
        self._limits = BatchLimits(max_batch_size, max_cache_tokens)
        self._stop_ids = end_tokens(model)
        self._numbers = itertools.count()
        self._waiting: deque[tuple[Request, Sampling, Future[Completion]]] = deque()
        self._arrived = threading.Condition()
        threading.Thread(target=self._run, name="sampler", daemon=True).start()

    def submit(self, request: Request, sampling: Sampling) -> Future[Completion]:
        """Queue a request and return the future of its completion. A future cancelled in the queue is not sampled."""
        future: Future[Completion] = Future()
        with self._arrived:
            self._waiting.append((request, sampling, future))
            self._arrived.notify()
        return future

    def _run(self) -> None:
        while True:
            with self._arrived:
                self._arrived.wait_for(lambda: bool(self._waiting))
                sampling = self._waiting[0][1]
            self._sample(sampling)

    @torch.no_grad()
    def _sample(self, sampling: Sampling) -> None:
        """Sample until the batch is empty and the next request has other settings."""
        batch = RunningBatch(self._model, sampling, self._limits, self._stop_ids)
        running: dict[int, Future[Completion]] = {}
        try:
            self._admit(batch, sampling, running)
            while batch.busy:
                for slot in batch.step():
                    completion = slot.sequence.completion
                    batch.resume(slot, None)
                    _settle(running.pop(slot.sequence.number), completion)
                self._admit(batch, sampling, running)
        # Out of memory, or a request that the model cannot process: fail the requests of this batch only.
        except Exception as error:
            for future in running.values():
                _settle(future, error)

    def _admit(self, batch: RunningBatch, sampling: Sampling, running: dict[int, Future[Completion]]) -> None:
        with self._arrived:
            while self._waiting and self._waiting[0][1] == sampling:
                request, _, future = self._waiting.popleft()
                if not future.cancelled():
                    number = next(self._numbers)
                    running[number] = future
                    batch.enter(number, request)


def _settle(future: Future[Completion], outcome: Completion | Exception) -> None:
    try:
        if isinstance(outcome, Exception):
            future.set_exception(outcome)
        else:
            future.set_result(outcome)
    except InvalidStateError:
        # The future was cancelled in the meantime.
        return
