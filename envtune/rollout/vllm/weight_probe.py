"""Whether a sampler computes with the weights that it was given: log-probs of a few tokens, its own and the trainer's.

The prompts are the same at every push of weights. A sampler that keeps what it computed for a prompt has that of the
weights before, so one that forgets to forget is found out.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from jaxtyping import Float32, Int
from torch import Tensor
from transformers import PreTrainedModel

from envtune.rollout.generator import Completion, Request

PROMPTS = 4
# Several blocks of any sampler's cache, and a last one that is not full.
PROMPT_TOKENS = 100
SAMPLED_TOKENS = 8
PROBE_LENGTH = PROMPT_TOKENS + SAMPLED_TOKENS

# Mean absolute difference in nats that rounding explains. On a CPU, float32 differs by 3e-6 at most; in bfloat16 single
# tokens of a 27M model differ by 0.4, and weights that are not the trainer's by 0.4 and more on average.
TOLERANCES = {"float32": 1e-3, "float16": 0.05, "bfloat16": 0.2}


def probe_requests(model: PreTrainedModel) -> list[Request]:
    """Prompts of ids from all over the vocabulary, always the same for one model, and a few tokens to sample behind."""
    vocabulary = model.config.get_text_config().vocab_size
    noise = torch.Generator().manual_seed(0)
    prompts = torch.randint(vocabulary, (PROMPTS, PROMPT_TOKENS), generator=noise).tolist()
    return [Request(tuple(prompt), seed, SAMPLED_TOKENS) for seed, prompt in enumerate(prompts)]


def probe_difference(
    model: PreTrainedModel, requests: Sequence[Request], completions: Sequence[Completion], temperature: float
) -> float:
    """Mean absolute difference in nats between the completions' log-probs and those that ``model`` gives them.

    The requests are equally long, and so are the completions.
    """
    ids = torch.tensor([request.ids + found.ids for request, found in zip(requests, completions, strict=True)])
    sampled = torch.tensor([completion.logprobs for completion in completions])
    computed = _logprobs(model, ids.to(model.device), sampled.shape[1], temperature)
    return float((computed.cpu() - sampled).abs().mean())


@torch.no_grad()
def _logprobs(
    model: PreTrainedModel, ids: Int[Tensor, "row token"], count: int, temperature: float
) -> Float32[Tensor, "row {count}"]:
    """Return log-probs (nats) of the last ``count`` ids of each row, in one pass. The model is left unchanged."""
    # private: set_attn_implementation is public, and nothing that reads what is set; a getter would replace it.
    training, attention = model.training, model.config._attn_implementation
    model.eval()
    model.set_attn_implementation("eager")
    try:
        with torch.autocast(model.device.type, enabled=False):
            logits = model(input_ids=ids, use_cache=False, logits_to_keep=count + 1).logits[:, :-1]
    finally:
        model.set_attn_implementation(attention)
        model.train(training)
    logprobs = torch.log_softmax(logits.float() / temperature, dim=-1)
    return logprobs.gather(-1, ids[:, -count:, None])[..., 0]
