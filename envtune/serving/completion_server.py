"""The part of vLLM's /v1/completions that the chat endpoint uses, for machines without vLLM.

docs/serving.md explains why `transformers serve` cannot be used.
"""

from __future__ import annotations

import asyncio
import json
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from math import inf
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request as HTTPRequest
from starlette.responses import JSONResponse, Response

from envtune.rollout.generator import Request
from envtune.rollout.hf.sampling import Sampling
from envtune.serving.chat_request import MAX_SEED
from envtune.serving.http import Bodies, application
from envtune.serving.refusal import Refusal
from envtune.serving.sampler import Sampler

MAX_BYTES = 16 * 2**20
# Below this temperature, dividing the logits overflows; sampling is greedy anyway.
LEAST_TEMPERATURE = 1e-5


@dataclass(frozen=True, slots=True)
class Model:
    """The model's properties that requests are validated against."""

    name: str
    vocabulary: int
    """Number of token ids."""
    window: int
    """Context length in tokens."""


def completion_application(model: Model, sampler: Sampler, api_key: str | None = None) -> Starlette:
    """Return the application with the routes /v1/completions, /v1/models and /health."""
    bodies = Bodies(MAX_BYTES)

    async def completions(request: HTTPRequest) -> Response:
        async with bodies.received(request) as body:
            prompt, sampling = await asyncio.to_thread(read_completion_request, body, model)
        completion = await asyncio.wrap_future(sampler.submit(prompt, sampling))
        reason = "stop" if completion.ended else "length"
        return JSONResponse(
            {
                "object": "text_completion",
                "model": model.name,
                "choices": [{"index": 0, "text": "", "token_ids": completion.ids, "finish_reason": reason}],
                "usage": {"prompt_tokens": len(prompt.ids), "completion_tokens": len(completion.ids)},
            }
        )

    return application("/v1/completions", completions, {"id": model.name, "max_model_len": model.window}, api_key)


def read_completion_request(text: bytes | bytearray, model: Model) -> tuple[Request, Sampling]:
    """Parse and validate the body of a request.

    Raises:
        Refusal: the body is not valid JSON, or a value is missing or not allowed.
    """
    try:
        body = json.loads(text)
        ids, length = body["prompt"], body["max_tokens"]
        temperature, top_p = float(body["temperature"]), float(body["top_p"])
        seed, end_ids = body.get("seed"), tuple(body["stop_token_ids"])
        _check(body, model)
        seed = secrets.randbits(63) if seed is None else seed
        # Temperature 0 means greedy sampling; it cannot divide the logits.
        greedy = temperature == 0
        divisor = 1.0 if greedy else max(temperature, LEAST_TEMPERATURE)
        return Request(tuple(ids), seed, length, end_ids), Sampling(divisor, top_p, greedy)
    except (ValueError, LookupError, TypeError, AttributeError, OverflowError, RecursionError) as error:
        raise Refusal(400, f"the request cannot be read ({type(error).__name__} {error})") from error


def _check(body: Mapping[str, Any], model: Model) -> None:
    ids, length = body["prompt"], body["max_tokens"]
    if body.get("model") != model.name:
        raise Refusal(404, f"the model served here is {model.name}", "model", "model_not_found")
    if not isinstance(ids, list) or not ids:
        raise Refusal(400, "prompt must be a list of token ids", "prompt")
    if not isinstance(length, int) or length < 1 or len(ids) + length > model.window:
        raise Refusal(400, f"{len(ids)} tokens and max_tokens must fit the window of {model.window}", "max_tokens")
    ends, seed = body["stop_token_ids"], body.get("seed", 0)
    if not isinstance(ends, list) or len(ends) > model.vocabulary:
        raise Refusal(400, "stop_token_ids must be a list of token ids", "stop_token_ids")
    if not all(isinstance(id_, int) and 0 <= id_ < model.vocabulary for id_ in (*ids, *ends)):
        raise Refusal(400, f"token ids must be integers from 0 to {model.vocabulary - 1}", "prompt")
    if seed is not None and not (isinstance(seed, int) and 0 <= seed <= MAX_SEED):
        raise Refusal(400, f"seed must be an integer from 0 to {MAX_SEED}", "seed")
    if not (0 <= body["temperature"] < inf and 0 < body["top_p"] <= 1):
        raise Refusal(400, "temperature must be 0 or more, top_p above 0 and at most 1", "temperature")
