"""Samples what many requests ask for, in one running batch that they join and leave at any time, in a thread.

It is the sampler of `rollout=hf` (envtune/rollout/hf/running_batch.py), fed from outside.
"""

from __future__ import annotations

import itertools
import threading
from collections import deque
from concurrent.futures import Future, InvalidStateError

import torch
from transformers import PreTrainedModel

from envtune.rollout.end_tokens import end_tokens
from envtune.rollout.generator import Completion, Request
from envtune.rollout.hf.hf_generator import HFGenerator
from envtune.rollout.hf.kv_attention import ATTENTION
from envtune.rollout.hf.running_batch import BatchLimits, RunningBatch
from envtune.rollout.hf.sampling import Sampling


class Sampler:
    """Samples from ``model``, at most ``max_batch_size`` completions at a time.

    Requests that are sampled in another way than those in the batch (temperature, top_p) wait until it is empty, and
    whatever arrives after them waits behind them.

    Raises:
        UserError: the model is none that the embedded generator samples from.
    """

    def __init__(self, model: PreTrainedModel, max_batch_size: int, max_cache_tokens: int) -> None:
        HFGenerator().update_weights(model, 0)
        self._model = model.eval()
        model.set_attn_implementation(ATTENTION)
        self._limits = BatchLimits(max_batch_size, max_cache_tokens)
        self._stop_ids = end_tokens(model)
        self._numbers = itertools.count()
        self._waiting: deque[tuple[Request, Sampling, Future[Completion]]] = deque()
        self._arrived = threading.Condition()
        threading.Thread(target=self._run, name="sampler", daemon=True).start()

    def submit(self, request: Request, sampling: Sampling) -> Future[Completion]:
        """The completion to come. A request whose future is cancelled before its turn is not sampled."""
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
        """Until nothing is left that is to be sampled this way and may go first."""
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
        # Out of memory, or a request that the model cannot take: those in the batch hear of it, the next ones do not.
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
        # Cancelled meanwhile: nobody waits for it any more.
        return
