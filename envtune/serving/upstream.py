"""The client of the completion server: token ids in, sampled token ids out, over vLLM's /v1/completions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import httpx2

from envtune.bearer_key import bearer
from envtune.errors import UserError
from envtune.serving.refusal import Refusal

_REQUIRED = "give one that takes and returns token ids, such as vLLM 0.10.2 or later or tools/completion_server.py"


@dataclass(frozen=True, slots=True)
class UpstreamCompletion:
    """A sampled completion."""

    ids: tuple[int, ...]
    """Sampled ids, with the end token."""
    clipped: bool
    """True if the completion reached its length limit."""


@dataclass(frozen=True, slots=True)
class CompletionRequest:
    """A request for one completion."""

    ids: Sequence[int]
    max_tokens: int
    temperature: float
    """0 takes the likeliest tokens."""
    top_p: float
    seed: int | None
    """None draws a random seed."""
    end_ids: Sequence[int]


class Upstream:
    """A completion server.

    Args:
        url: address without ``/v1``.
        timeout: limit for one completion, waiting included, in seconds.
        api_key: sent as bearer token; None sends none.
        transport: replaces the network in tests.
    """

    def __init__(
        self, url: str, timeout: float, api_key: str | None = None, transport: httpx2.AsyncBaseTransport | None = None
    ) -> None:
        # Close idle connections before the server does (uvicorn: after 5 s): a request on a closed one would fail.
        limits = httpx2.Limits(max_connections=None, max_keepalive_connections=64, keepalive_expiry=2.0)
        timeouts = httpx2.Timeout(timeout, connect=30.0)
        # trust_env=False: proxies of the environment must not receive the prompts.
        self._client = httpx2.AsyncClient(
            base_url=url, headers=bearer(api_key), timeout=timeouts, limits=limits, trust_env=False, transport=transport
        )
        self.url, self._timeout = url, timeout
        self._model = ""

    async def connect(self) -> int | None:
        """Read the model's name, sample a token as a test, and return the context length, None if it is unknown.

        Raises:
            UserError: no compatible server responds.
        """
        try:
            models = await self._client.get("/v1/models")
            models.raise_for_status()
            model = models.json()["data"][0]
            self._model, window = model["id"], model.get("max_model_len")
            await self.complete(CompletionRequest((1, 2), 1, 0.0, 1.0, 0, ()))
        except (httpx2.HTTPError, httpx2.InvalidURL, ValueError, LookupError, TypeError, AttributeError) as error:
            reason = f"{type(error).__name__} {error}".strip()
            raise UserError(f"{self.url} is not a usable completion server ({reason}): {_REQUIRED}") from error
        except Refusal as refusal:
            raise UserError(f"{self.url} cannot be used ({refusal.message}): {_REQUIRED}") from refusal
        return window

    async def complete(self, request: CompletionRequest) -> UpstreamCompletion:
        """Sample one completion.

        Raises:
            Refusal: the server is unreachable, busy or too slow, or its response has no token ids.
        """
        try:
            response = await self._client.post("/v1/completions", json=_body(request, self._model))
        except httpx2.TimeoutException as error:
            raise Refusal(504, f"the completion server did not respond within {self._timeout:g} s") from error
        except httpx2.HTTPError as error:
            raise Refusal(502, f"the completion server cannot be reached ({type(error).__name__})") from error
        if response.status_code in (429, 503):
            raise Refusal(503, "the completion server is busy: try again later")
        if response.status_code != 200:
            raise Refusal(502, f"the completion server responded with {response.status_code}: {response.text[:300]}")
        return _sampled(response)

    async def close(self) -> None:
        """Close all connections."""
        await self._client.aclose()


def _body(request: CompletionRequest, model: str) -> dict[str, Any]:
    body = {
        "model": model,
        "prompt": list(request.ids),
        "max_tokens": request.max_tokens,
        "temperature": request.temperature,
        "top_p": request.top_p,
        "stop_token_ids": list(request.end_ids),
        "return_token_ids": True,
        "skip_special_tokens": False,
        # Override the sampling defaults of the model's generation config.
        "top_k": 0,
        "min_p": 0.0,
        "repetition_penalty": 1.0,
    }
    return body if request.seed is None else body | {"seed": request.seed}


def _sampled(response: httpx2.Response) -> UpstreamCompletion:
    try:
        choice = response.json()["choices"][0]
        ids, reason = choice.get("token_ids"), choice.get("finish_reason")
    except (ValueError, LookupError, TypeError, AttributeError) as error:
        raise Refusal(502, "the completion server's response cannot be read") from error
    if not isinstance(ids, list) or not ids or not all(isinstance(id_, int) for id_ in ids):
        raise Refusal(502, "the completion server returned no token ids")
    if reason not in ("stop", "length"):
        raise Refusal(502, f"the completion server aborted a completion ({reason})")
    return UpstreamCompletion(tuple(ids), reason == "length")
