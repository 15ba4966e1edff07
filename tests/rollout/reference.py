"""Sampling as slowly and plainly as it can be written, and ways to play requests and watch a model."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch

from envtune.rollout.generator import Completion, Generator, Request


@torch.no_grad()
def plain_completion(
    model, request: Request, temperature: float, stop_ids: Sequence[int] = (), greedy: bool = False
) -> Completion:
    """One request by itself: every token from a pass over all before it, without cache, padding or batch."""
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
    """One completion for each request, none of which is followed by another."""
    found: dict[int, Completion] = {}
    generator.run(requests, lambda number, completion: found.update({number: completion}), greedy)
    return [found[number] for number in range(len(requests))]


def passes(model, action: Callable[[], object]) -> list[int]:
    """The tokens, padding included, of each pass through the model during ``action``."""
    fed: list[int] = []
    hook = model.register_forward_pre_hook(
        lambda _, args, kwargs: fed.append(kwargs["input_ids"].numel()), with_kwargs=True
    )
    try:
        action()
    finally:
        hook.remove()
    return fed
