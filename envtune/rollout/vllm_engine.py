"""vLLM's asynchronous engine, in an event loop in a thread of its own: every call ends, in an answer or an error.

The engine computes in another process. What it is asked, and whether its weights are the right ones, stands in
vllm_generator.py. Importing this file needs no vLLM; making an engine does.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import itertools
import os
import threading
from collections.abc import Coroutine, Mapping
from pathlib import Path
from typing import Any, ClassVar, TypeVar

Answer = TypeVar("Answer")

# The mixin of vLLM's worker that takes weights; named, because the worker lives in another process.
WORKER = "envtune.rollout.vllm_worker.WeightReceiver"


class EngineError(ConnectionError):
    """The engine has ended, does not answer in time, or does not hold the weights that it was given."""

    def __init__(self, what: str) -> None:
        super().__init__(
            f"vLLM {what}; what it printed above may say why. Checkpoints are not touched: continue the run with "
            "ckpt_path=RUN_FOLDER"
        )


class Engine:
    """An engine that has read the model in ``folder``. A process has one: a new one ends the one before.

    ``arguments`` are those of vLLM's AsyncEngineArgs. ``timeout`` is what each answer may take, in seconds.

    Raises:
        EngineError: here and in every method.
    """

    _newest: ClassVar[Engine | None] = None

    def __init__(self, folder: Path, arguments: Mapping[str, Any], timeout: float) -> None:
        # A later stage's engine needs the memory of the one before.
        if Engine._newest is not None:
            Engine._newest.close()
            Engine._newest = None
        self._timeout = timeout
        self._closed = False
        self._numbers = itertools.count()
        self._loop = asyncio.new_event_loop()
        threading.Thread(target=self._loop.run_forever, name="vllm", daemon=True).start()
        self._llm: Any = self._ask(_start(folder, arguments), "start")
        Engine._newest = self

    def load(self, folder: Path) -> None:
        """Replaces all weights by those in ``folder``. What the engine has computed with the old ones stays cached."""
        self._ask(self._llm.collective_rpc("receive_weights", args=(str(folder),)), "take the weights")

    def forget(self) -> None:
        """Empties the prefix cache. No request may be running."""
        if not self._ask(self._llm.reset_prefix_cache(), "empty its cache"):
            raise EngineError("could not empty its cache after new weights, for requests still use it")

    def sleep(self) -> None:
        """Gives the GPU's memory back until ``wake``; weights wait in main memory, and what was cached is lost."""
        self._ask(self._llm.sleep(level=1), "go to sleep")

    def wake(self) -> None:
        self._ask(self._llm.wake_up(), "wake up")

    async def complete(self, ids: tuple[int, ...], parameters: Any) -> Any:
        """vLLM's finished RequestOutput for one request. To be awaited in ``run``."""
        request = self._llm.generate({"prompt_token_ids": list(ids)}, parameters, request_id=str(next(self._numbers)))
        try:
            return await asyncio.wait_for(_last(request), self._timeout)
        except (TimeoutError, asyncio.TimeoutError) as error:
            raise EngineError(f"did not finish a completion within {self._timeout:g} s") from error

    def run(self, coroutine: Coroutine[Any, Any, Answer], purpose: str, timeout: float | None = None) -> Answer:
        """The result of ``coroutine``, run in the engine's loop; without ``timeout`` it has to end by itself."""
        if self._closed:
            coroutine.close()
            raise EngineError(f"was closed, for a newer engine or at the end, and cannot {purpose}")
        future = asyncio.run_coroutine_threadsafe(_telling_its_death(coroutine, purpose), self._loop)
        try:
            return future.result(timeout)
        except BaseException:
            future.cancel()
            raise

    def close(self) -> None:
        """Ends the engine's process; every call after it is refused."""
        if not self._closed:
            self._closed = True
            self._llm.shutdown()
            self._loop.call_soon_threadsafe(self._loop.stop)

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


async def _start(folder: Path, arguments: Mapping[str, Any]) -> Any:
    # The engine's process must not be forked from one with threads, and need not tell how it starts or who uses it.
    os.environ.setdefault("VLLM_WORKER_MULTIPROC_METHOD", "spawn")
    os.environ.setdefault("VLLM_LOGGING_LEVEL", "ERROR")
    os.environ.setdefault("VLLM_NO_USAGE_STATS", "1")
    from vllm.engine.arg_utils import AsyncEngineArgs
    from vllm.platforms import current_platform
    from vllm.v1.engine.async_llm import AsyncLLM

    given = {**(_whole_prompts(arguments["max_model_len"]) if current_platform.is_cpu() else {}), **arguments}
    return AsyncLLM.from_engine_args(AsyncEngineArgs(model=str(folder), worker_extension_cls=WORKER, **given))


def _whole_prompts(max_model_len: int) -> dict[str, Any]:
    """Feeds every prompt in one pass: after a part of one, vLLM winds the request's generator back, and dies of it on a
    CPU, whose generators cannot be.
    """
    return {"enable_chunked_prefill": False, "max_num_batched_tokens": max(max_model_len, 2048)}


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
