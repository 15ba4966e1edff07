"""Samples with vLLM: weights are pushed to its engine and checked there, and every chain of requests runs by itself.

The engine keeps the keys and values of what it has computed, so a chain's next request costs only its new tokens. Log
probabilities come from other kernels than the trainer's, and maybe another precision (docs/mismatch.md).
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

from envtune.checked import Count, Positive, checked
from envtune.errors import UserError
from envtune.processes.collectives import current_rank, first_rank_on_this_host, on_all_ranks
from envtune.rollout.end_tokens import end_tokens
from envtune.rollout.generator import Advance, BrokenPolicy, Completion, Request, Temperature
from envtune.rollout.merged_weights import write_merged_weights
from envtune.rollout.vllm.engine import Engine, EngineError
from envtune.rollout.vllm.event_loop import all_or_none
from envtune.rollout.vllm.weight_probe import TOLERANCES, probe_difference, probe_requests
from envtune.rollout.weight_sums import differing_layers

# The policy version before the first push, and after one that failed: what the engine holds then is unknown.
UNKNOWN = -1


@checked
class VLLMGenerator:
    """The ``Generator`` on an engine of vLLM. See conf/rollout/vllm.yaml and vllm_server.yaml.

    All noise of a completion comes from its request's seed. Log-probs are those of the whole vocabulary at
    ``temperature``; of a greedy completion, those at temperature 1.

    Args:
        engine: of this process alone, or shared by all that train.
        max_completions: that are sampled at the same time; more wait.
        probe_tolerance: mean difference of log-probs in nats that a push may leave; None takes the dtype's.
        transfer_folder: where weights pass to the engine; None is the system's folder for temporary files.

    Raises:
        UserError: a value out of range.
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
            raise UserError(f"transfer_folder={transfer_folder} is no folder: make it, or give another")
        self.temperature = temperature
        self.policy_version = UNKNOWN
        self.fed_tokens = 0
        self.engine = engine
        self._max_completions, self._tolerance = max_completions, probe_tolerance
        self._transfer_folder = transfer_folder
        self._stop_ids: frozenset[int] = frozenset()
        self._stamp = ""

    def update_weights(self, model: PreTrainedModel, policy_version: int) -> None:
        """Hands over all weights, empties the engine's cache and compares what the engine holds and computes.

        Until that has succeeded, nothing is sampled. Of several training processes, all have to call it.

        Raises:
            EngineError: the engine has ended, does not answer, or has other weights than ``model``.
            ConnectionError: that, in another training process.
            UserError: the engine cannot take ``model``.
            BrokenPolicy: a log-prob of the probe is not a finite number.
        """
        self.policy_version = UNKNOWN
        dtype = on_all_ranks(lambda: self.engine.prepare_for(model))[0]
        self._push(model, policy_version, dtype)
        on_all_ranks(lambda: self._require_same_log_probs(model, policy_version, dtype))
        on_all_ranks(self.engine.rest)
        self._stop_ids = end_tokens(model)
        self.policy_version = policy_version

    def run(self, first: Sequence[Request], advance: Advance, greedy: bool = False) -> None:
        """As the protocol says.

        Raises:
            EngineError: the engine has ended, a completion takes too long, or other weights have sampled it.
            BrokenPolicy: a log-prob is not a finite number.
        """
        if self.policy_version == UNKNOWN:
            raise RuntimeError("the generator has no weights that it knows; call update_weights first")
        self.engine.wake()
        self.engine.run(self._play(first, advance, greedy), "sample")
        self.engine.rest()

    def _push(self, model: PreTrainedModel, version: int, dtype: torch.dtype) -> None:
        """One process writes the weights for all on its machine, or for all if they share the engine."""
        writer = 0 if self.engine.is_shared else first_rank_on_this_host()
        writes = current_rank() == writer
        with tempfile.TemporaryDirectory(prefix="envtune_weights_", dir=self._transfer_folder) as own:
            sums = on_all_ranks(lambda: write_merged_weights(model, dtype, Path(own) if writes else None))[
                current_rank()
            ]
            folder, stamp = on_all_ranks(lambda: (own, secrets.token_hex(8)))[writer]
            loads = writes or not self.engine.is_shared
            on_all_ranks(lambda: self._hand_over(Path(folder), dtype, stamp, sums, version) if loads else None)
        self._stamp = stamp

    def _hand_over(self, folder: Path, dtype: torch.dtype, stamp: str, sums: dict[str, int], version: int) -> None:
        self.engine.wake()
        self.engine.load(folder, dtype)
        self.engine.forget()
        differing = differing_layers(sums, self.engine.weight_sums())
        if differing:
            raise EngineError(
                f"does not hold the trainer's weights of policy version {version}: they differ in {differing[0]}"
                + (f" and {len(differing) - 1} more" if differing[1:] else "")
            )
        self.engine.stamp(stamp)

    def _require_same_log_probs(self, model: PreTrainedModel, version: int, dtype: torch.dtype) -> None:
        requests = probe_requests(model)
        probes = (self._complete(request, version, greedy=False) for request in requests)
        completions = self.engine.run(all_or_none(probes), "be probed")
        difference = probe_difference(model, requests, completions, self.temperature)
        name = str(dtype).removeprefix("torch.")
        allowed = TOLERANCES[name] if self._tolerance is None else self._tolerance
        # A NaN must not pass.
        if not difference <= allowed:
            raise EngineError(
                f"does not compute with the trainer's weights of policy version {version}: log-probs of probe tokens "
                f"differ by {difference:.3g} nats on average, {allowed:g} is allowed ({name}; "
                "rollout.generator.probe_tolerance)"
            )

    async def _play(self, first: Sequence[Request], advance: Advance, greedy: bool) -> None:
        running, loop = asyncio.Semaphore(self._max_completions), asyncio.get_running_loop()

        async def play(number: int, request: Request | None) -> None:
            while request is not None:
                async with running:
                    completion = await self._complete(request, self.policy_version, greedy, self._stop_ids)
                request = await loop.run_in_executor(thread, advance, number, completion)

        # One thread, so that `advance` never runs twice at the same time, and not the loop's, so that all others go on.
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
        found = await self.engine.complete(request.ids, parameters)
        if found.finish_reason not in ("stop", "length"):
            raise EngineError(f"broke off a completion ({found.finish_reason})")
        if found.stamps != {self._stamp}:
            raise EngineError("sampled with weights that this run did not push last: was the engine started again?")
        # JSON has no NaN: a server may send nothing in its place.
        if not all(logprob is not None and math.isfinite(logprob) for logprob in found.logprobs):
            raise BrokenPolicy(version)
        self.fed_tokens += len(request.ids) - found.cached_tokens + len(found.ids) - 1
        return Completion(found.ids, found.logprobs, found.finish_reason == "stop")
