"""Samples with vLLM: pushes weights to its engine, verifies them, and runs every token sequence concurrently.

The engine's prefix cache makes a sequence's next request cost only its new tokens. Its log-probs differ from the
trainer's by kernels and possibly precision (docs/mismatch.md).
"""

from __future__ import annotations

import asyncio
import math
import secrets
import tempfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import torch
from transformers import PreTrainedModel
from typing_extensions import override

from envtune.checked import Count, Positive, checked
from envtune.errors import UserError
from envtune.processes.collectives import current_rank, first_rank_on_this_host, on_all_ranks
from envtune.rollout.generator import Advance, BrokenPolicy, Completion, Generator, Request, Temperature
from envtune.rollout.inference import end_tokens
from envtune.rollout.merged_weights import write_merged_weights
from envtune.rollout.vllm.engine import Engine, EngineError
from envtune.rollout.vllm.event_loop import all_or_none
from envtune.rollout.vllm.weight_probe import TOLERANCES, probe_difference, probe_requests
from envtune.rollout.weight_sums import differing_layers

# The policy version before the first push and after a failed one, when the engine's weights are unknown.
UNKNOWN = -1


@checked
class VLLMGenerator(Generator):
    """The generator on an engine of vLLM. See conf/rollout/vllm.yaml and vllm_server.yaml.

    The seed of a request determines its completion. Log-probs cover the whole vocabulary at ``temperature``; those of
    greedy completions are at temperature 1.

    Args:
        engine: used by this rank only, or shared by all ranks.
        max_completions: limit on concurrent requests; further ones wait.
        probe_tolerance: allowed mean absolute difference of the probe's log-probs after a push, in nats; None takes
            the tolerance of the dtype.
        transfer_folder: folder for the weights on their way to the engine; None is the system's temporary folder.

    Raises:
        UserError: a value is out of range.
    """

    def __init__(
        self,
        engine: Engine,
        temperature: Temperature = 1.0,
        max_completions: Count = 256,
        probe_tolerance: Positive | None = None,
        transfer_folder: str | None = None,
    ) -> None:
        if transfer_folder is not None and not Path(transfer_folder).is_dir():
            raise UserError(f"transfer_folder={transfer_folder} is not a folder: create it, or give another one")
        self.engine, self.temperature, self.policy_version, self.fed_tokens = engine, temperature, UNKNOWN, 0
        self._max_completions, self._tolerance = max_completions, probe_tolerance
        self._transfer_folder = transfer_folder
        self._stop_ids: frozenset[int] = frozenset()
        self._weight_version = ""

    @override
    def update_weights(self, model: PreTrainedModel, policy_version: int) -> None:
        """Push all weights, empty the engine's KV cache, and compare weights and log-probs. All ranks must call it.

        Raises:
            EngineError: the engine has ended, does not respond, or its weights differ from those of ``model``.
            ConnectionError: one of these happened on another rank.
            UserError: the engine cannot load ``model``.
            BrokenPolicy: a log-prob of the probe is NaN or infinite.
        """
        self.policy_version = UNKNOWN
        dtype = on_all_ranks(lambda: self.engine.prepare_for(model))[0]
        self._push(model, policy_version, dtype)
        on_all_ranks(lambda: self._require_same_log_probs(model, policy_version, dtype))
        on_all_ranks(self.engine.sleep)
        self._stop_ids = end_tokens(model)
        self.policy_version = policy_version

    @override
    def run(self, first: Sequence[Request], advance: Advance, greedy: bool = False) -> None:
        """Sample token sequences as ``Generator.run`` does.

        Raises:
            EngineError: the engine has ended, a completion takes too long, or the engine's weights have changed.
            BrokenPolicy: a log-prob is NaN or infinite.
        """
        if self.policy_version == UNKNOWN:
            raise RuntimeError("the generator has no verified weights; call update_weights first")
        self.engine.wake_up()
        self.engine.run(self._play(first, advance, greedy), "sample")
        self.engine.sleep()

    def _push(self, model: PreTrainedModel, version: int, dtype: torch.dtype) -> None:
        """Write the weights on one rank (per host, or of the run if the engine is shared) and load them."""
        writer = 0 if self.engine.is_shared else first_rank_on_this_host()
        rank = current_rank()
        writes = rank == writer
        with tempfile.TemporaryDirectory(prefix="envtune_weights_", dir=self._transfer_folder) as own:
            sums = on_all_ranks(lambda: write_merged_weights(model, dtype, Path(own) if writes else None))[rank]
            folder, weight_version = on_all_ranks(lambda: (own, secrets.token_hex(8)))[writer]
            loads = writes or not self.engine.is_shared
            on_all_ranks(lambda: self._load(Path(folder), dtype, weight_version, sums, version) if loads else None)
        self._weight_version = weight_version

    def _load(self, folder: Path, dtype: torch.dtype, weight_version: str, sums: dict[str, int], version: int) -> None:
        self.engine.wake_up()
        self.engine.load(folder, dtype)
        self.engine.reset_cache()
        differing = differing_layers(sums, self.engine.weight_sums())
        if differing:
            raise EngineError(
                f"does not have the trainer's weights of policy version {version}: they differ in {differing[0]}"
                + (f" and {len(differing) - 1} more" if differing[1:] else "")
            )
        self.engine.set_weight_version(weight_version)

    def _require_same_log_probs(self, model: PreTrainedModel, version: int, dtype: torch.dtype) -> None:
        requests = probe_requests(model)
        probes = (self._complete(request, version, greedy=False) for request in requests)
        completions = self.engine.run(all_or_none(probes), "be probed")
        difference = probe_difference(model, requests, completions, self.temperature)
        name = str(dtype).removeprefix("torch.")
        allowed = TOLERANCES[name] if self._tolerance is None else self._tolerance
        # Not `difference > allowed`, which is False for NaN.
        if not difference <= allowed:
            raise EngineError(
                f"does not compute with the trainer's weights of policy version {version}: log-probs of probe tokens "
                f"differ by {difference:.3g} nats on average, {allowed:g} is allowed ({name}; "
                "rollout.generator.probe_tolerance)"
            )

    async def _play(self, first: Sequence[Request], advance: Advance, greedy: bool) -> None:
        slots, loop = asyncio.Semaphore(self._max_completions), asyncio.get_running_loop()

        async def play(number: int, request: Request | None) -> None:
            while request is not None:
                async with slots:
                    completion = await self._complete(request, self.policy_version, greedy, self._stop_ids)
                request = await loop.run_in_executor(thread, advance, number, completion)

        # One thread: calls of `advance` must not overlap. Not the loop's: that would block the other sequences.
        with ThreadPoolExecutor(max_workers=1, thread_name_prefix="advance") as thread:
            await all_or_none(play(number, request) for number, request in enumerate(first))

    async def _complete(
        self, request: Request, version: int, greedy: bool, stop_ids: frozenset[int] = frozenset()
    ) -> Completion:
        parameters: dict[str, Any] = {
            "temperature": 0.0 if greedy else self.temperature,
            "seed": request.seed,
            "max_tokens": request.max_new_tokens,
            "stop_token_ids": sorted(stop_ids.union(request.end_ids)),
            "ignore_eos": True,
            "logprobs": 0,
            "detokenize": False,
        }
        sampled = await self.engine.complete(request.ids, parameters)
        if sampled.finish_reason not in ("stop", "length"):
            raise EngineError(f"aborted a completion ({sampled.finish_reason})")
        if sampled.weight_versions != {self._weight_version}:
            raise EngineError("sampled with weights that this run did not push last: was the engine restarted?")
        # JSON has no NaN: a server may send null instead.
        if not all(logprob is not None and math.isfinite(logprob) for logprob in sampled.logprobs):
            raise BrokenPolicy(version)
        self.fed_tokens += len(request.ids) - sampled.cached_tokens + len(sampled.ids) - 1
        return Completion(sampled.ids, sampled.logprobs, sampled.finish_reason == "stop")
