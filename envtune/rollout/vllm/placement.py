"""Constructors of vLLM generators: with an engine per rank, or on a running server."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import Field

from envtune.checked import Count, Positive
from envtune.rollout.generator import Temperature
from envtune.rollout.vllm.engine import Timeout
from envtune.rollout.vllm.own_engine import Dtype, OwnEngine
from envtune.rollout.vllm.served_engine import ServedEngine
from envtune.rollout.vllm.vllm_generator import VLLMGenerator
from envtune.rollout.vllm.weight_probe import PROBE_LENGTH


def colocated(
    max_prompt_tokens: Count,
    max_response_tokens: Count,
    temperature: Temperature = 1.0,
    max_completions: Count = 256,
    dtype: Dtype = "auto",
    gpu_memory_utilization: Annotated[float, Field(gt=0, le=1)] = 0.4,
    sleep: bool | None = None,
    timeout: Timeout = 600.0,
    probe_tolerance: Positive | None = None,
    transfer_folder: str | None = None,
    engine: Mapping[str, Any] | None = None,
) -> VLLMGenerator:
    """Return a generator with one engine per rank, on the rank's device: `rollout=vllm`.

    Args:
        max_prompt_tokens, max_response_tokens: add up to the context length of the engine, in tokens.
        gpu_memory_utilization: share of the GPU's memory for weights and KV cache, in (0, 1].
        dtype, sleep, timeout: see OwnEngine. The others: see VLLMGenerator.
        engine: further arguments of vLLM's AsyncEngineArgs.

    Raises:
        UserError: a value is out of range, or vLLM is not installed.
    """
    arguments = {
        "max_model_len": max(max_prompt_tokens + max_response_tokens, PROBE_LENGTH),
        "max_num_seqs": max_completions,
        "gpu_memory_utilization": gpu_memory_utilization,
        "disable_log_stats": True,
        "use_tqdm_on_load": False,
        **(engine or {}),
    }
    own = OwnEngine(arguments, dtype, sleep, timeout)
    return VLLMGenerator(own, temperature, max_completions, probe_tolerance, transfer_folder)


def on_server(
    url: str,
    max_prompt_tokens: Count,
    max_response_tokens: Count,
    temperature: Temperature = 1.0,
    max_completions: Count = 256,
    timeout: Timeout = 600.0,
    probe_tolerance: Positive | None = None,
    transfer_folder: str | None = None,
    key_variable: str | None = None,
) -> VLLMGenerator:
    """Return a generator on a server that all ranks share: `rollout=vllm_server`.

    Args:
        url: the address that tools/serve_rollouts.py prints.
        max_prompt_tokens, max_response_tokens: add up to the least context length of the server, in tokens.
        timeout, key_variable: see ServedEngine. The others: see VLLMGenerator.

    Raises:
        UserError: a value is out of range, or ``key_variable`` is not set in the environment.
    """
    served = ServedEngine(url, max(max_prompt_tokens + max_response_tokens, PROBE_LENGTH), timeout, key_variable)
    return VLLMGenerator(served, temperature, max_completions, probe_tolerance, transfer_folder)
