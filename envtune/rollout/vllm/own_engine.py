"""vLLM's engine in a child process of the trainer. Importing this file needs no vLLM; loading weights does."""

from __future__ import annotations

import asyncio
import atexit
import concurrent.futures
import itertools
import os
from collections.abc import Coroutine, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any, ClassVar

import torch
from transformers import PreTrainedModel
from typing_extensions import override

from envtune.checked import Among, checked
from envtune.rollout.vllm.engine import Engine, EngineCompletion, EngineError, Timeout
from envtune.rollout.vllm.event_loop import Answer, LoopThread
from envtune.rollout.vllm.vllm_python import require_vllm
from envtune.rollout.vllm.weight_probe import TOLERANCES

Dtype = Annotated[str, Among(("auto", *TOLERANCES))]
# The mixin of vLLM's worker that loads weights; by name, because the worker runs in another process.
WORKER = "envtune.rollout.vllm.worker.WeightReceiver"
# Engine arguments that the generator requires, here and in tools/serve_rollouts.py.
ARGUMENTS: dict[str, Any] = {
    "enable_prefix_caching": True,
    "logprobs_mode": "processed_logprobs",
    "generation_config": "vllm",
    "skip_tokenizer_init": True,
}


@checked
class OwnEngine(Engine):
    """An engine that starts when the first weights are loaded. A process has one: starting a new one ends the old one.

    Args:
        arguments: keyword arguments of vLLM's AsyncEngineArgs.
        dtype: dtype of the weights; "auto" is bfloat16 on a GPU and the trainer's dtype elsewhere.
        sleep: free the GPU's memory while the trainer works; None does so where vLLM supports it.
        timeout: limit for the start, for loading weights and for a completion, in seconds.

    Raises:
        UserError: a value out of range, or vLLM is not installed.
    """

    is_shared = False
    _newest: ClassVar[OwnEngine | None] = None

    def __init__(self, arguments: Mapping[str, Any], dtype: Dtype, sleep: bool | None, timeout: Timeout) -> None:
        require_vllm("rollout=vllm", "sample with rollout=vllm_server or rollout=hf")
        self._arguments, self._dtype, self._sleep, self._timeout = arguments, dtype, sleep, timeout
        self._numbers = itertools.count()
        self._loop: LoopThread | None = None
        self._closed = False
        self._llm: Any = None
        self._device = torch.device("cpu")

    @override
    def prepare_for(self, model: PreTrainedModel) -> torch.dtype:
        self._device = model.device
        if self._dtype != "auto":
            return getattr(torch, self._dtype)
        return torch.bfloat16 if model.device.type == "cuda" else model.dtype

    @override
    def load(self, folder: Path, dtype: torch.dtype) -> None:
        if self._llm is not None or self._closed:
            self._call("load the weights", "collective_rpc", "receive_weights", args=(str(folder),))
            return
        # The engine of a later stage needs the memory of the previous one.
        if OwnEngine._newest is not None:
            OwnEngine._newest.close()
        OwnEngine._newest = self
        atexit.register(self.close)
        self._loop = LoopThread("vllm")
        given = {"dtype": str(dtype).removeprefix("torch."), **self._arguments}
        self._llm = self._within_timeout(_start(folder, given, self._sleep, self._device), "start")

    @override
    def reset_cache(self) -> None:
        if not self._call("empty its cache", "reset_prefix_cache"):
            raise EngineError("could not empty its cache after new weights, because requests still use it")

    @override
    def weight_sums(self) -> list[dict[str, int]]:
        return self._call("compute checksums of its weights", "collective_rpc", "weight_sums")

    @override
    def set_weight_version(self, version: str) -> None:
        self._call("name its weights", "update_weight_version", version)

    @override
    def sleep(self) -> None:
        """Offload weights to CPU memory and drop the KV cache."""
        if self._can_sleep:
            self._call("go to sleep", "sleep", level=1)

    @override
    def wake_up(self) -> None:
        if self._can_sleep:
            self._call("wake up", "wake_up")

    @override
    async def complete(self, ids: tuple[int, ...], parameters: Mapping[str, Any]) -> EngineCompletion:
        from vllm.sampling_params import RequestOutputKind, SamplingParams

        sampling = SamplingParams(**parameters, output_kind=RequestOutputKind.FINAL_ONLY)
        request = self._llm.generate({"prompt_token_ids": list(ids)}, sampling, request_id=str(next(self._numbers)))
        try:
            result = await asyncio.wait_for(_last(request), self._timeout)
        except (TimeoutError, asyncio.TimeoutError) as error:
            raise EngineError(f"did not finish a completion within {self._timeout:g} s") from error
        sampled = result.outputs[0]
        return EngineCompletion(
            tuple(sampled.token_ids),
            tuple(step[token].logprob for step, token in zip(sampled.logprobs or (), sampled.token_ids, strict=True)),
            sampled.finish_reason,
            result.num_cached_tokens or 0,
            frozenset(span.version for span in sampled.weight_versions or ()),
        )

    @override
    def run(self, coroutine: Coroutine[Any, Any, Answer], purpose: str, timeout: float | None = None) -> Answer:
        if self._closed or self._loop is None:
            coroutine.close()
            raise EngineError(f"was closed, for a newer engine or at the end, and cannot {purpose}")
        return self._loop.run(_with_engine_errors(coroutine, purpose), timeout)

    @override
    def close(self) -> None:
        """End the engine's process. Later calls raise EngineError."""
        if self._loop is not None and not self._closed:
            self._closed = True
            if self._llm is not None:
                self._llm.shutdown()
            self._loop.close()
            atexit.unregister(self.close)

    @property
    def _can_sleep(self) -> bool:
        return self._llm is not None and self._llm.vllm_config.model_config.enable_sleep_mode

    def _call(self, purpose: str, method: str, *arguments: Any, **named: Any) -> Any:
        async def call() -> Any:
            return await getattr(self._llm, method)(*arguments, **named)

        return self._within_timeout(call(), purpose)

    def _within_timeout(self, coroutine: Coroutine[Any, Any, Answer], purpose: str) -> Answer:
        try:
            return self.run(coroutine, purpose, self._timeout)
        except EngineError:
            raise
        except (TimeoutError, concurrent.futures.TimeoutError) as error:
            raise EngineError(f"did not {purpose} within {self._timeout:g} s") from error
        # vLLM re-raises errors of its process as plain Exception.
        except Exception as error:
            raise EngineError(f"could not {purpose} ({' '.join(str(error).split())})") from error


def whole_prompts(max_model_len: int) -> dict[str, Any]:
    """Return arguments that disable chunked prefill, as vLLM on a CPU needs it.

    After a chunk, vLLM rewinds the request's random generator, which fails for generators of the CPU.
    """
    return {"enable_chunked_prefill": False, "max_num_batched_tokens": max(max_model_len, 2048)}


async def _start(folder: Path, arguments: Mapping[str, Any], sleep: bool | None, device: torch.device) -> Any:
    # spawn: forking a process with threads is unsafe. No start-up messages, no usage statistics.
    os.environ.setdefault("VLLM_WORKER_MULTIPROC_METHOD", "spawn")
    os.environ.setdefault("VLLM_LOGGING_LEVEL", "ERROR")
    os.environ.setdefault("VLLM_NO_USAGE_STATS", "1")
    from vllm.engine.arg_utils import AsyncEngineArgs
    from vllm.platforms import current_platform
    from vllm.v1.engine.async_llm import AsyncLLM

    can_sleep = current_platform.is_sleep_mode_available() if sleep is None else sleep
    whole = whole_prompts(arguments["max_model_len"]) if current_platform.is_cpu() else {}
    given = {**ARGUMENTS, **whole, "enable_sleep_mode": can_sleep, **arguments}
    with _visible(device):
        return AsyncLLM.from_engine_args(AsyncEngineArgs(model=str(folder), worker_extension_cls=WORKER, **given))


@contextmanager
def _visible(device: torch.device) -> Iterator[None]:
    """In a distributed run, restrict CUDA_VISIBLE_DEVICES to this rank's GPU for child processes."""
    distributed = torch.distributed.is_available() and torch.distributed.is_initialized()
    if not distributed or device.type != "cuda":
        yield
        return
    variable = "CUDA_VISIBLE_DEVICES"
    original = os.environ.get(variable)
    os.environ[variable] = original.split(",")[device.index or 0] if original else str(device.index or 0)
    try:
        yield
    finally:
        os.environ.pop(variable)
        if original is not None:
            os.environ[variable] = original


async def _with_engine_errors(coroutine: Coroutine[Any, Any, Answer], purpose: str) -> Answer:
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
