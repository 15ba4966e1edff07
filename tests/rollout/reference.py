"""A plain reference sampler, and functions to run requests and to record forward passes."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch

from envtune.rollout.generator import Completion, Generator, Request


@torch.no_grad()
def plain_completion(
    model, request: Request, temperature: float, stop_ids: Sequence[int] = (), greedy: bool = False
) -> Completion:
    """Sample one request: every token from a pass over all earlier tokens, without cache, padding or batch."""
    ids, logprobs = list(request.ids), []
    noise = np.random.default_rng(request.seed).random(request.max_new_tokens)
    for uniform in noise:
        logits = model.eval()(input_ids=torch.tensor([ids]), use_cache=False).logits[0, -1] / temperature
        probabilities = logits.double().softmax(-1).numpy()
        cumulative = probabilities.cumsum()
        token = int(probabilities.argmax() if greedy else (cumulative <= uniform * cumulative[-1]).sum())
        ids.append(token)
        logprobs.append(float(np.log(probabilities[token])))
        if token in (*stop_ids, *request.end_ids):
            break
    sampled = tuple(ids[len(request.ids) :])
    return Completion(sampled, tuple(logprobs), sampled[-1] in (*stop_ids, *request.end_ids))


def completions(generator: Generator, requests: Sequence[Request], greedy: bool = False) -> list[Completion]:
    """Return one completion for each request, in sequences of a single request."""
    sampled: dict[int, Completion] = {}
    generator.run(requests, lambda number, completion: sampled.update({number: completion}), greedy)
    return [sampled[number] for number in range(len(requests))]


def passes(model, action: Callable[[], object]) -> list[int]:
    """Return the number of tokens, padding included, of each forward pass during ``action``."""
    fed: list[int] = []
    hook = model.register_forward_pre_hook(
        lambda _, args, kwargs: fed.append(kwargs["input_ids"].numel()), with_kwargs=True
    )
    try:
        action()
    finally:
        hook.remove()
    return fed
