"""Small models for vLLM on a CPU, a generator for them, and the log-probs of the trainer's model."""

from __future__ import annotations

import multiprocessing
from typing import Any

import psutil
import torch
from transformers import PreTrainedModel, Qwen2Config, Qwen2ForCausalLM

from envtune.rollout.generator import Completion, Request
from envtune.rollout.vllm.placement import colocated
from envtune.rollout.vllm.vllm_generator import VLLMGenerator

TEMPERATURE = 0.8
# vLLM's kernels for CPUs support attention heads of 32 or more dimensions.
ENGINE = {"enforce_eager": True, "block_size": 32, "kv_cache_memory_bytes": 2**28}


def small_model(tied: bool, seed: int = 0) -> PreTrainedModel:
    """Return a model of two layers, with tied embeddings if ``tied``."""
    torch.manual_seed(seed)
    config = Qwen2Config(
        vocab_size=400,
        hidden_size=64,
        intermediate_size=96,
        num_hidden_layers=2,
        num_attention_heads=2,
        num_key_value_heads=1,
        max_position_embeddings=2048,
        initializer_range=0.2,
        tie_word_embeddings=tied,
        bos_token_id=None,
        eos_token_id=None,
        pad_token_id=1,
    )
    return Qwen2ForCausalLM(config)


def small_generator(**arguments: Any) -> VLLMGenerator:
    # On a busy machine, an engine starts slowly.
    budgets = {"max_prompt_tokens": 512, "max_response_tokens": 512, "timeout": 1800.0}
    return colocated(**budgets, temperature=TEMPERATURE, engine=ENGINE, **arguments)


@torch.no_grad()
def take_a_small_step(model: PreTrainedModel) -> None:
    """Change all weights as an update at a learning rate of 1e-6 does."""
    for weight in model.parameters():
        weight += 1e-6


@torch.no_grad()
def trainer_logprobs(model: PreTrainedModel, request: Request, completion: Completion) -> list[float]:
    """Return the log-prob of each sampled token from one plain pass in float32."""
    ids = torch.tensor([request.ids + completion.ids])
    logits = model.eval()(input_ids=ids, use_cache=False).logits[0, len(request.ids) - 1 : -1]
    logprobs = torch.log_softmax(logits.float() / TEMPERATURE, dim=-1)
    return logprobs.gather(-1, ids[0, len(request.ids) :, None])[:, 0].tolist()


def engine_process() -> psutil.Process:
    """Return the process of the newest engine."""
    (child,) = [child for child in multiprocessing.active_children() if "EngineCore" in child.name]
    return psutil.Process(child.pid)
