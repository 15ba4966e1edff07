"""The chat endpoint: /v1/chat/completions, /v1/models and /health, in front of a completion server."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from envtune.chat.template import Template
from envtune.serving.chat_request import ChatRequest, Limits, read_chat_request
from envtune.serving.conversations import Conversations
from envtune.serving.gate import Gate
from envtune.serving.http import HANDLERS, read_json_body, require_key
from envtune.serving.refusal import Refusal
from envtune.serving.reply import chat_completion, read_reply
from envtune.serving.upstream import Order, Upstream

# What no client reads any more, for it has hung up.
CLIENT_GONE = 499


@dataclass(frozen=True)
class Served:
    """The model as clients see it: its ``name``, its ``window`` in tokens, and the tokens that end a completion
    beside the template's."""

    name: str
    window: int
    end_ids: frozenset[int]


class Endpoint:
    """Answers chat requests. Conversations are remembered, but no request depends on another one being answered."""

    def __init__(self, served: Served, template: Template, upstream: Upstream, limits: Limits) -> None:
        self._served, self._template, self._upstream, self._limits = served, template, upstream, limits
        self._conversations = Conversations(template)
        self._end_ids = tuple(sorted(served.end_ids.union(template.end_ids)))

    async def answer(self, body: bytes) -> dict[str, Any]:
        """OpenAI's ``chat.completion`` object for the body of a request. Raises Refusal."""
        # In a thread, for a long text would hold all others up.
        request, prompt = await asyncio.to_thread(self._read, body)
        room = self._served.window - len(prompt)
        if room < 1:
            raise Refusal(
                400,
                f"the messages and tools take {len(prompt)} tokens, but the model's window holds {self._served.window}",
                "messages",
                "context_length_exceeded",
            )
        limit = min(request.max_tokens, room)
        order = Order(prompt, limit, request.temperature, request.top_p, request.seed, self._end_ids)
        sampled = await self._upstream.complete(order)
        reply = read_reply(self._template.decode(sampled.ids), bool(request.tools))
        self._conversations.remember(request.messages, request.tools, reply, (*prompt, *sampled.ids))
        return chat_completion(request.model, reply, sampled.clipped, len(prompt), len(sampled.ids))

    def _read(self, body: bytes) -> tuple[ChatRequest, tuple[int, ...]]:
        request = read_chat_request(body, self._limits)
        if request.model != self._served.name:
            message = f"there is no model {request.model[:100]!r}: the one served here is {self._served.name!r}"
            raise Refusal(404, message, "model", "model_not_found")
        return request, self._conversations.prompt(request.messages, request.tools)


def application(
    endpoint: Endpoint,
    name: str,
    limits: Limits,
    gate: Gate,
    is_alive: Callable[[], bool],
    api_key: str | None = None,
) -> Starlette:
    """The routes. ``is_alive`` says whether the completion server still runs."""
    created = int(time.time())

    async def chat(request: Request) -> Response:
        require_key(request, api_key)
        async with gate.place():
            try:
                body = await read_json_body(request, limits.body_bytes)
            except ClientDisconnect:
                return Response(status_code=CLIENT_GONE)
            async with gate.seat:
                if await request.is_disconnected():
                    return Response(status_code=CLIENT_GONE)
                return JSONResponse(await endpoint.answer(body))

    async def models(request: Request) -> Response:
        require_key(request, api_key)
        entry = {"id": name, "object": "model", "created": created, "owned_by": "envtune"}
        return JSONResponse({"object": "list", "data": [entry]})

    async def health(request: Request) -> Response:
        alive = is_alive()
        return JSONResponse({"status": "ok" if alive else "the completion server has ended"}, 200 if alive else 503)

    routes = [
        Route("/v1/chat/completions", chat, methods=["POST"]),
        Route("/v1/models", models),
        Route("/health", health),
    ]
    return Starlette(routes=routes, exception_handlers=HANDLERS)
