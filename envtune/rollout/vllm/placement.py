"""Where vLLM's engine runs: in a process of the trainer's, or in a server that is there already."""

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
    """An engine of its own for every training process: `rollout=vllm`.

    Args:
        max_prompt_tokens, max_response_tokens: the longest episode; the engine reserves room for it.
        gpu_memory_utilization: share of the GPU's memory for weights and cache.
        dtype, sleep, timeout: see OwnEngine. The others: see VLLMGenerator.
        engine: further arguments of vLLM's AsyncEngineArgs.

    Raises:
        UserError: a value out of range, or vLLM is not installed.
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
    """The engine of a server, which all training processes share: `rollout=vllm_server`.

    Args:
        url: where tools/serve_rollouts.py says that it listens.
        max_prompt_tokens, max_response_tokens: the longest episode; the server has to have room for it.
        timeout, key_variable: see ServedEngine. The others: see VLLMGenerator.

    Raises:
        UserError: a value out of range, or no key in the variable that is named.
    """
    served = ServedEngine(url, max(max_prompt_tokens + max_response_tokens, PROBE_LENGTH), timeout, key_variable)
    return VLLMGenerator(served, temperature, max_completions, probe_tolerance, transfer_folder)
