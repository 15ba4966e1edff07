"""vLLM's engine beside the trainer: it computes in a process that the trainer starts and ends.

Importing this file needs no vLLM; the first weights do.
"""

from __future__ import annotations

import asyncio
import atexit
import concurrent.futures
import importlib.util
import itertools
import os
from collections.abc import Coroutine, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any, ClassVar, TypeVar

import torch
from transformers import PreTrainedModel

from envtune.checked import Among, checked
from envtune.errors import UserError
from envtune.rollout.vllm.engine import EngineCompletion, EngineError, Timeout
from envtune.rollout.vllm.event_loop import LoopThread
from envtune.rollout.vllm.weight_probe import TOLERANCES

Answer = TypeVar("Answer")

Dtype = Annotated[str, Among(("auto", *TOLERANCES))]
# The mixin of vLLM's worker that takes weights; named, because the worker lives in another process.
WORKER = "envtune.rollout.vllm.worker.WeightReceiver"
# What the generator relies on, whoever starts the engine.
ARGUMENTS: dict[str, Any] = {
    "enable_prefix_caching": True,
    "logprobs_mode": "processed_logprobs",
    "generation_config": "vllm",
    "skip_tokenizer_init": True,
}


@checked
class OwnEngine:
    """An ``Engine`` that starts with the first weights. A process has one: a new one ends the one before.

    Args:
        arguments: of vLLM's AsyncEngineArgs.
        dtype: of the weights; "auto" is bfloat16 on a GPU and the trainer's own elsewhere.
        sleep: gives the GPU's memory back while the trainer works; None wherever vLLM can.
        timeout: seconds for the start, a push of weights or a completion.

    Raises:
        UserError: a value out of range, or vLLM is not installed.
    """

    is_shared = False
    _newest: ClassVar[OwnEngine | None] = None

    def __init__(self, arguments: Mapping[str, Any], dtype: Dtype, sleep: bool | None, timeout: Timeout) -> None:
        if importlib.util.find_spec("vllm") is None:
            raise UserError("rollout=vllm needs the package vllm: pip install -e '.[vllm]', or sample with rollout=hf")
        self._arguments, self._dtype, self._sleep, self._timeout = arguments, dtype, sleep, timeout
        self._numbers = itertools.count()
        self._loop: LoopThread | None = None
        self._closed = False
        self._llm: Any = None
        self._device = torch.device("cpu")

    def prepare_for(self, model: PreTrainedModel) -> torch.dtype:
        self._device = model.device
        if self._dtype != "auto":
            return getattr(torch, self._dtype)
        return torch.bfloat16 if model.device.type == "cuda" else model.dtype

    def load(self, folder: Path, dtype: torch.dtype) -> None:
        if self._llm is not None or self._closed:
            self._ask(self._llm_call("collective_rpc", "receive_weights", args=(str(folder),)), "take the weights")
            return
        # A later stage's engine needs the memory of the one before.
        if OwnEngine._newest is not None:
            OwnEngine._newest.close()
        OwnEngine._newest = self
        atexit.register(self.close)
        self._loop = LoopThread("vllm")
        given = {"dtype": str(dtype).removeprefix("torch."), **self._arguments}
        self._llm = self._ask(_start(folder, given, self._sleep, self._device), "start")

    def forget(self) -> None:
        if not self._ask(self._llm_call("reset_prefix_cache"), "empty its cache"):
            raise EngineError("could not empty its cache after new weights, for requests still use it")

    def weight_sums(self) -> list[dict[str, int]]:
        return self._ask(self._llm_call("collective_rpc", "weight_sums"), "sum up its weights")

    def stamp(self, weights: str) -> None:
        self._ask(self._llm_call("update_weight_version", weights), "take a name of its weights")

    def rest(self) -> None:
        """Weights wait in main memory, and what was cached is lost."""
        if self._sleeps:
            self._ask(self._llm_call("sleep", level=1), "go to sleep")

    def wake(self) -> None:
        if self._sleeps:
            self._ask(self._llm_call("wake_up"), "wake up")

    async def complete(self, ids: tuple[int, ...], parameters: Mapping[str, Any]) -> EngineCompletion:
        from vllm.sampling_params import RequestOutputKind, SamplingParams

        wanted = SamplingParams(**parameters, output_kind=RequestOutputKind.FINAL_ONLY)
        request = self._llm.generate({"prompt_token_ids": list(ids)}, wanted, request_id=str(next(self._numbers)))
        try:
            answer = await asyncio.wait_for(_last(request), self._timeout)
        except (TimeoutError, asyncio.TimeoutError) as error:
            raise EngineError(f"did not finish a completion within {self._timeout:g} s") from error
        found = answer.outputs[0]
        return EngineCompletion(
            tuple(found.token_ids),
            tuple(step[token].logprob for step, token in zip(found.logprobs or (), found.token_ids, strict=True)),
            found.finish_reason,
            answer.num_cached_tokens or 0,
            frozenset(span.version for span in found.weight_versions or ()),
        )

    def run(self, coroutine: Coroutine[Any, Any, Answer], purpose: str, timeout: float | None = None) -> Answer:
        if self._closed or self._loop is None:
            coroutine.close()
            raise EngineError(f"was closed, for a newer engine or at the end, and cannot {purpose}")
        return self._loop.run(_telling_its_death(coroutine, purpose), timeout)

    def close(self) -> None:
        """Ends the engine's process; every call after it is refused."""
        if self._loop is not None and not self._closed:
            self._closed = True
            if self._llm is not None:
                self._llm.shutdown()
            self._loop.close()
            atexit.unregister(self.close)

    @property
    def _sleeps(self) -> bool:
        return self._llm is not None and self._llm.vllm_config.model_config.enable_sleep_mode

    async def _llm_call(self, method: str, *arguments: Any, **named: Any) -> Any:
        return await getattr(self._llm, method)(*arguments, **named)

    def _ask(self, coroutine: Coroutine[Any, Any, Answer], purpose: str) -> Answer:
        try:
            return self.run(coroutine, purpose, self._timeout)
        except EngineError:
            raise
        except (TimeoutError, concurrent.futures.TimeoutError) as error:
            raise EngineError(f"did not {purpose} within {self._timeout:g} s") from error
        # vLLM hands errors of its process on as plain exceptions.
        except Exception as error:
            raise EngineError(f"could not {purpose} ({' '.join(str(error).split())})") from error


def whole_prompts(max_model_len: int) -> dict[str, Any]:
    """Feeds every prompt in one pass: after a part of one, vLLM winds the request's generator back, and dies of it on a
    CPU, whose generators cannot be.
    """
    return {"enable_chunked_prefill": False, "max_num_batched_tokens": max(max_model_len, 2048)}


async def _start(folder: Path, arguments: Mapping[str, Any], sleep: bool | None, device: torch.device) -> Any:
    # The engine's process must not be forked from one with threads, and need not tell how it starts or who uses it.
    os.environ.setdefault("VLLM_WORKER_MULTIPROC_METHOD", "spawn")
    os.environ.setdefault("VLLM_LOGGING_LEVEL", "ERROR")
    os.environ.setdefault("VLLM_NO_USAGE_STATS", "1")
    from vllm.engine.arg_utils import AsyncEngineArgs
    from vllm.platforms import current_platform
    from vllm.v1.engine.async_llm import AsyncLLM

    sleeps = current_platform.is_sleep_mode_available() if sleep is None else sleep
    whole = whole_prompts(arguments["max_model_len"]) if current_platform.is_cpu() else {}
    given = {**ARGUMENTS, **whole, "enable_sleep_mode": sleeps, **arguments}
    with _only(device):
        return AsyncLLM.from_engine_args(AsyncEngineArgs(model=str(folder), worker_extension_cls=WORKER, **given))


@contextmanager
def _only(device: torch.device) -> Iterator[None]:
    """What is started within sees of several processes' GPUs that of this one; with one process, all."""
    several = torch.distributed.is_available() and torch.distributed.is_initialized()
    if not several or device.type != "cuda":
        yield
        return
    before, variable = os.environ.get("CUDA_VISIBLE_DEVICES"), "CUDA_VISIBLE_DEVICES"
    os.environ[variable] = before.split(",")[device.index or 0] if before else str(device.index or 0)
    try:
        yield
    finally:
        os.environ.pop(variable)
        if before is not None:
            os.environ[variable] = before


async def _telling_its_death(coroutine: Coroutine[Any, Any, Answer], purpose: str) -> Answer:
    from vllm.v1.engine.exceptions import EngineDeadError, EngineGenerateError

    try:
        return await coroutine
    except EngineDeadError as error:
        raise EngineError(f"has ended and could not {purpose}") from error
    except EngineGenerateError as error:
        raise EngineError(f"could not {purpose} ({error.__cause__!r})") from error


async def _last(outputs: Any) -> Any:
    async for output in outputs:
        last = output
    return last
