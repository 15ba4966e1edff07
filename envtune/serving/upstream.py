"""The completion server behind the endpoint: token ids in, sampled token ids out, by vLLM's /v1/completions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import httpx2

from envtune.bearer_key import bearer
from envtune.errors import UserError
from envtune.serving.refusal import Refusal

_NEEDED = "give one that takes and returns token ids, such as vLLM 0.10.2 or later or tools/completion_server.py"


@dataclass(frozen=True, slots=True)
class UpstreamCompletion:
    """The sampled ids, the end token included if one was sampled; ``clipped``: the length limit stopped them."""

    ids: tuple[int, ...]
    clipped: bool


@dataclass(frozen=True, slots=True)
class Order:
    """One completion to sample. ``temperature`` 0 takes the likeliest tokens; ``seed`` None is any."""

    ids: Sequence[int]
    max_tokens: int
    temperature: float
    top_p: float
    seed: int | None
    end_ids: Sequence[int]


class Upstream:
    """The server at ``url`` (without ``/v1``).

    ``timeout``: seconds that one completion may take, waiting included. ``transport``: None is the network.
    """

    def __init__(
        self, url: str, timeout: float, api_key: str | None = None, transport: httpx2.AsyncBaseTransport | None = None
    ) -> None:
        # Idle connections are left before the server ends them (uvicorn: after 5 s), or a request may meet that end.
        limits = httpx2.Limits(max_connections=None, max_keepalive_connections=64, keepalive_expiry=2.0)
        waits = httpx2.Timeout(timeout, connect=30.0)
        # Never by a proxy of the environment: the prompts go where they are told to go and nowhere else.
        self._client = httpx2.AsyncClient(
            base_url=url, headers=bearer(api_key), timeout=waits, limits=limits, trust_env=False, transport=transport
        )
        self.url, self._timeout = url, timeout
        self._model = ""

    async def connect(self) -> int | None:
        """Learns the model's name, and that ids are taken and returned. Returns the model's window, if it is told.

        Raises:
            UserError: the server is none that can be used.
        """
        try:
            models = await self._client.get("/v1/models")
            models.raise_for_status()
            model = models.json()["data"][0]
            self._model, window = model["id"], model.get("max_model_len")
            await self.complete(Order((1, 2), 1, 0.0, 1.0, 0, ()))
        except (httpx2.HTTPError, httpx2.InvalidURL, ValueError, LookupError, TypeError, AttributeError) as error:
            reason = f"{type(error).__name__} {error}".strip()
            raise UserError(f"{self.url} is no completion server that can be used ({reason}): {_NEEDED}") from error
        except Refusal as refusal:
            raise UserError(f"{self.url} cannot be used ({refusal.message}): {_NEEDED}") from refusal
        return window

    async def complete(self, order: Order) -> UpstreamCompletion:
        """Samples one completion.

        Raises:
            Refusal: the server is gone, busy, too slow, or does not answer in token ids.
        """
        try:
            response = await self._client.post("/v1/completions", json=_body(order, self._model))
        except httpx2.TimeoutException as error:
            raise Refusal(504, f"the completion server did not answer within {self._timeout:g} s") from error
        except httpx2.HTTPError as error:
            raise Refusal(502, f"the completion server cannot be reached ({type(error).__name__})") from error
        if response.status_code in (429, 503):
            raise Refusal(503, "the completion server is busy: try again later")
        if response.status_code != 200:
            raise Refusal(502, f"the completion server answered {response.status_code}: {response.text[:300]}")
        return _sampled(response)

    async def close(self) -> None:
        await self._client.aclose()


def _body(order: Order, model: str) -> dict[str, Any]:
    body = {
        "model": model,
        "prompt": list(order.ids),
        "max_tokens": order.max_tokens,
        "temperature": order.temperature,
        "top_p": order.top_p,
        "stop_token_ids": list(order.end_ids),
        "return_token_ids": True,
        "skip_special_tokens": False,
        # The model's own sampling defaults would change what the client asks for.
        "top_k": 0,
        "min_p": 0.0,
        "repetition_penalty": 1.0,
    }
    return body if order.seed is None else body | {"seed": order.seed}


def _sampled(response: httpx2.Response) -> UpstreamCompletion:
    try:
        choice = response.json()["choices"][0]
        ids, reason = choice.get("token_ids"), choice.get("finish_reason")
    except (ValueError, LookupError, TypeError, AttributeError) as error:
        raise Refusal(502, "the completion server's answer cannot be read") from error
    if not isinstance(ids, list) or not ids or not all(isinstance(id_, int) for id_ in ids):
        raise Refusal(502, "the completion server returned no token ids")
    if reason not in ("stop", "length"):
        raise Refusal(502, f"the completion server broke off a completion ({reason})")
    return UpstreamCompletion(tuple(ids), reason == "length")
