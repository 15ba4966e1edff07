"""Samples with vLLM: weights are pushed to its engine and checked there, and every chain of requests runs by itself.

The engine keeps the keys and values of what it has computed, so a chain's next request costs only its new tokens. Log
probabilities come from other kernels than the trainer's, and maybe another precision (docs/mismatch.md).
"""

from __future__ import annotations

import asyncio
import importlib.util
import tempfile
from collections.abc import Coroutine, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

import torch
from transformers import PreTrainedModel

from envtune.errors import UserError
from envtune.rollout.end_tokens import end_tokens
from envtune.rollout.generator import Advance, Completion, Request
from envtune.rollout.plain_weights import write_plain_weights
from envtune.rollout.vllm_engine import Engine, EngineError
from envtune.rollout.weight_probe import PROBE_LENGTH, TOLERANCES, probe_difference, probe_requests

Answer = TypeVar("Answer")

DTYPES = ("auto", *TOLERANCES)

# The policy version before the first push, and after one that failed: what the engine holds then is unknown.
UNKNOWN = -1


class VLLMGenerator:
    """The ``Generator`` on vLLM, whose engine starts with the first weights. See conf/rollout/vllm.yaml.

    All noise of a completion comes from its request's seed. Log-probs are those of the whole vocabulary at
    ``temperature``; of a greedy completion, those at temperature 1.

    Args:
        max_prompt_tokens, max_response_tokens: the longest episode; the engine reserves room for it.
        max_completions: that are sampled at the same time; more wait.
        dtype: of the engine's weights; "auto" is bfloat16 on a GPU and the trainer's own elsewhere.
        gpu_memory_utilization: share of the GPU's memory for weights and cache.
        sleep: gives that memory back while the trainer works; None wherever vLLM can.
        timeout: seconds for the start, a push of weights or a completion.
        probe_tolerance: mean difference of log-probs in nats that a push may leave; None takes the dtype's.
        transfer_folder: where weights pass to the engine; None is the system's folder for temporary files.
        engine: further arguments of vLLM's AsyncEngineArgs.

    Raises:
        UserError: a value out of range, or vLLM is not installed.
    """

    def __init__(
        self,
        max_prompt_tokens: int,
        max_response_tokens: int,
        temperature: float = 1.0,
        max_completions: int = 256,
        dtype: str = "auto",
        gpu_memory_utilization: float = 0.4,
        sleep: bool | None = None,
        timeout: float = 600.0,
        probe_tolerance: float | None = None,
        transfer_folder: str | None = None,
        engine: Mapping[str, Any] | None = None,
    ) -> None:
        if not temperature > 0:
            raise UserError(f"temperature={temperature} is not above 0; for the likeliest tokens, generate greedily")
        if dtype not in DTYPES:
            raise UserError(f"dtype={dtype} is no choice of the vLLM generator; choose one of {', '.join(DTYPES)}")
        if not timeout > 0:
            raise UserError(f"timeout={timeout} is not above 0; give the seconds that vLLM may take for an answer")
        if importlib.util.find_spec("vllm") is None:
            raise UserError("rollout=vllm needs the package vllm: pip install -e '.[vllm]', or sample with rollout=hf")
        self.temperature = temperature
        self.policy_version = UNKNOWN
        self.fed_tokens = 0
        self._dtype, self._timeout, self._tolerance = dtype, timeout, probe_tolerance
        self._max_completions, self._sleep, self._transfer_folder = max_completions, sleep, transfer_folder
        self._arguments = {
            "max_model_len": max(max_prompt_tokens + max_response_tokens, PROBE_LENGTH),
            "max_num_seqs": max_completions,
            "gpu_memory_utilization": gpu_memory_utilization,
            "enable_prefix_caching": True,
            "logprobs_mode": "processed_logprobs",
            "generation_config": "vllm",
            "skip_tokenizer_init": True,
            "disable_log_stats": True,
            "use_tqdm_on_load": False,
            **(engine or {}),
        }
        self._engine: Engine | None = None
        self._stop_ids: frozenset[int] = frozenset()

    def update_weights(self, model: PreTrainedModel, policy_version: int) -> None:
        """Hands over all weights, empties the engine's cache and compares log-probs of a few tokens.

        Until that has succeeded, nothing is sampled.

        Raises:
            EngineError: the engine has ended, does not answer, or computes otherwise than ``model``.
            UserError: several processes train.
        """
        _require_one_process()
        self.policy_version = UNKNOWN
        dtype = self._dtype_for(model)
        with tempfile.TemporaryDirectory(prefix="envtune_weights_", dir=self._transfer_folder) as name:
            write_plain_weights(model, dtype, Path(name))
            engine = self._take(Path(name), dtype)
        self._require_same_weights(engine, model, policy_version, dtype)
        self._rest(engine)
        self._stop_ids = end_tokens(model)
        self.policy_version = policy_version

    def run(self, first: Sequence[Request], advance: Advance, greedy: bool = False) -> None:
        """As the protocol says.

        Raises:
            EngineError: the engine has ended, or a completion takes too long.
        """
        if self._engine is None or self.policy_version == UNKNOWN:
            raise RuntimeError("the generator has no weights that it knows; call update_weights first")
        engine = self._awake(self._engine)
        engine.run(self._play(engine, first, advance, greedy), "sample")
        self._rest(engine)

    async def _play(self, engine: Engine, first: Sequence[Request], advance: Advance, greedy: bool) -> None:
        seats, loop = asyncio.Semaphore(self._max_completions), asyncio.get_running_loop()

        async def play(number: int, request: Request | None) -> None:
            while request is not None:
                async with seats:
                    completion = await self._complete(engine, request, self._stop_ids, greedy)
                request = await loop.run_in_executor(thread, advance, number, completion)

        # One thread, so that `advance` never runs twice at the same time, and not the loop's, so that all others go on.
        with ThreadPoolExecutor(max_workers=1, thread_name_prefix="advance") as thread:
            await _all_or_none(play(number, request) for number, request in enumerate(first))

    async def _complete(self, engine: Engine, request: Request, stop_ids: frozenset[int], greedy: bool) -> Completion:
        from vllm.sampling_params import RequestOutputKind, SamplingParams

        parameters = SamplingParams(
            temperature=0.0 if greedy else self.temperature,
            seed=request.seed,
            max_tokens=request.max_new_tokens,
            stop_token_ids=sorted(stop_ids.union(request.end_ids)),
            ignore_eos=True,
            logprobs=0,
            detokenize=False,
            output_kind=RequestOutputKind.FINAL_ONLY,
        )
        answer = await engine.complete(request.ids, parameters)
        sampled = answer.outputs[0]
        if sampled.finish_reason not in ("stop", "length"):
            raise EngineError(f"broke off a completion ({sampled.finish_reason})")
        self.fed_tokens += len(request.ids) - (answer.num_cached_tokens or 0) + len(sampled.token_ids) - 1
        logprobs = (step[token].logprob for step, token in zip(sampled.logprobs, sampled.token_ids, strict=True))
        return Completion(tuple(sampled.token_ids), tuple(logprobs), sampled.finish_reason == "stop")

    def _take(self, folder: Path, dtype: torch.dtype) -> Engine:
        """The engine with the weights in ``folder``, awake and with nothing of the weights before in its cache."""
        if self._engine is None:
            self._sleep = _can_sleep() if self._sleep is None else self._sleep
            self._engine = Engine(
                folder, {"dtype": _name(dtype), "enable_sleep_mode": self._sleep, **self._arguments}, self._timeout
            )
        else:
            self._awake(self._engine).load(folder)
            self._engine.forget()
        return self._engine

    def _require_same_weights(self, engine: Engine, model: PreTrainedModel, version: int, dtype: torch.dtype) -> None:
        requests = probe_requests(model)
        probes = (self._complete(engine, request, frozenset(), greedy=False) for request in requests)
        completions = engine.run(_all_or_none(probes), "be probed")
        difference = probe_difference(model, requests, completions, self.temperature)
        allowed = TOLERANCES[_name(dtype)] if self._tolerance is None else self._tolerance
        # A NaN must not pass.
        if not difference <= allowed:
            raise EngineError(
                f"does not compute with the trainer's weights of policy version {version}: log-probs of probe tokens "
                f"differ by {difference:.3g} nats on average, {allowed:g} is allowed ({_name(dtype)}; "
                "rollout.generator.probe_tolerance)"
            )

    def _awake(self, engine: Engine) -> Engine:
        if self._sleep:
            engine.wake()
        return engine

    def _rest(self, engine: Engine) -> None:
        if self._sleep:
            engine.sleep()

    def _dtype_for(self, model: PreTrainedModel) -> torch.dtype:
        if self._dtype != "auto":
            return getattr(torch, self._dtype)
        return torch.bfloat16 if model.device.type == "cuda" else model.dtype


async def _all_or_none(coroutines: Iterable[Coroutine[Any, Any, Answer]]) -> list[Answer]:
    """Their results; after the first error, which is raised, none of them goes on."""
    tasks = [asyncio.ensure_future(coroutine) for coroutine in coroutines]
    try:
        return await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def _require_one_process() -> None:
    if torch.distributed.is_initialized() and torch.distributed.get_world_size() > 1:
        raise UserError(
            f"rollout=vllm samples for one training process, and there are {torch.distributed.get_world_size()}: set "
            "trainer.devices=1, or sample with rollout=hf"
        )


def _can_sleep() -> bool:
    from vllm.platforms import current_platform

    return current_platform.is_sleep_mode_available()


def _name(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")
