"""Compares log-probs of probe tokens from sampler and trainer, to verify that the sampler uses the pushed weights.

Every push uses the same prompts, so a sampler whose KV cache survives a push returns log-probs of the old weights.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from transformers import PreTrainedModel

from envtune.rollout.generator import Completion, Request
from envtune.rollout.inference import inference

PROMPTS = 4
# Several full blocks of a paged KV cache and a partial one.
PROMPT_TOKENS = 100
SAMPLED_TOKENS = 8
PROBE_LENGTH = PROMPT_TOKENS + SAMPLED_TOKENS

# Mean absolute difference in nats that rounding explains. On a CPU, float32 differs by at most 3e-6; in bfloat16,
# single tokens of a 27M model differ by 0.4, while wrong weights differ by 0.4 or more on average.
TOLERANCES = {"float32": 1e-3, "float16": 0.05, "bfloat16": 0.2}


def probe_requests(model: PreTrainedModel) -> list[Request]:
    """Return requests for a few tokens after prompts of random ids, equal for equal vocabulary sizes."""
    vocabulary = model.config.get_text_config().vocab_size
    noise = torch.Generator().manual_seed(0)
    prompts = torch.randint(vocabulary, (PROMPTS, PROMPT_TOKENS), generator=noise).tolist()
    return [Request(tuple(prompt), seed, SAMPLED_TOKENS) for seed, prompt in enumerate(prompts)]


def probe_difference(
    model: PreTrainedModel, requests: Sequence[Request], completions: Sequence[Completion], temperature: float
) -> float:
    """Return the mean absolute difference in nats between the completions' log-probs and those of ``model``.

    All requests must have equal lengths, and all completions as well.
    """
    ids = torch.tensor([request.ids + sampled.ids for request, sampled in zip(requests, completions, strict=True)])
    sampled = torch.tensor([completion.logprobs for completion in completions])
    count, ids = sampled.shape[1], ids.to(model.device)
    with inference(model, "eager"):
        logits = model(input_ids=ids, use_cache=False, logits_to_keep=count + 1).logits[:, :-1]
    logprobs = torch.log_softmax(logits.float() / temperature, dim=-1)
    computed = logprobs.gather(-1, ids[:, -count:, None])[..., 0]
    return float((computed.cpu() - sampled).abs().mean())
