"""The chat endpoint: /v1/chat/completions, /v1/models and /health, in front of a completion server."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack, nullcontext
from dataclasses import dataclass
from typing import Any

from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from envtune.chat.template import Template
from envtune.serving.chat_request import Limits, read_chat_request
from envtune.serving.conversations import Conversations, Prompt
from envtune.serving.gate import Gate
from envtune.serving.http import HANDLERS, Bodies, require_key
from envtune.serving.refusal import Refusal
from envtune.serving.reply import chat_completion, read_reply
from envtune.serving.upstream import Order, Upstream

# What no client reads any more, for it has hung up.
CLIENT_GONE = 499
# Bytes of a body from which on it is read by itself.
LONG = 256 * 2**10


@dataclass(frozen=True)
class Served:
    """The model as clients see it: its ``name``, its ``window`` in tokens, and the tokens that end a completion
    beside the template's."""

    name: str
    window: int
    end_ids: frozenset[int]


@dataclass(frozen=True, slots=True)
class Asked:
    """A request that was read: no more of it than its answer needs, for many may wait."""

    model: str
    has_tools: bool
    prompt: Prompt
    order: Order


class Endpoint:
    """Answers chat requests. Conversations are remembered, but no request depends on another one being answered."""

    def __init__(self, served: Served, template: Template, upstream: Upstream, limits: Limits) -> None:
        self._served, self._upstream, self._limits, self._template = served, upstream, limits, template
        self._conversations = Conversations(template, served.window)
        self._end_ids = tuple(sorted(served.end_ids.union(template.end_ids)))
        # Long texts take seconds and many times their size in memory: one after the other, and none before a short one.
        self._threads = ThreadPoolExecutor(2, thread_name_prefix="reader")
        self._long = asyncio.Semaphore(1)

    async def read(self, body: bytearray) -> Asked:
        """What the body of a request asks for. Raises Refusal."""
        loop = asyncio.get_running_loop()
        async with self._long if len(body) > LONG else nullcontext():
            # In a thread, for a long text would hold all others up.
            return await loop.run_in_executor(self._threads, self._read, body)

    async def answer(self, asked: Asked) -> dict[str, Any]:
        """OpenAI's ``chat.completion`` object. Raises Refusal."""
        sampled = await self._upstream.complete(asked.order)
        reply = read_reply(self._template.decode(sampled.ids), asked.has_tools)
        self._conversations.remember(asked.prompt, reply, sampled.ids)
        return chat_completion(asked.model, reply, sampled.clipped, len(asked.prompt.ids), len(sampled.ids))

    def _read(self, body: bytearray) -> Asked:
        request = read_chat_request(body, self._limits)
        if request.model != self._served.name:
            message = f"there is no model {request.model[:100]!r}: the one served here is {self._served.name!r}"
            raise Refusal(404, message, "model", "model_not_found")
        try:
            prompt = self._conversations.prompt(request.messages, request.tools, request.conversation)
        except RecursionError as error:
            raise Refusal(400, "the body is nested too deeply") from error
        limit = min(request.max_tokens, self._served.window - len(prompt.ids))
        order = Order(prompt.ids, limit, request.temperature, request.top_p, request.seed, self._end_ids)
        return Asked(request.model, bool(request.tools), prompt, order)


def application(
    endpoint: Endpoint,
    name: str,
    limits: Limits,
    gate: Gate,
    is_alive: Callable[[], bool],
    api_key: str | None = None,
) -> Starlette:
    """The routes. ``is_alive`` says whether the completion server still runs."""
    created, bodies = int(time.time()), Bodies(limits.body_bytes)

    async def chat(request: Request) -> Response:
        require_key(request, api_key)
        try:
            # A place is taken only when the body is there, or who sends slowly would hold it.
            async with bodies.received(request) as body, AsyncExitStack() as leaving:
                await leaving.enter_async_context(gate.place())
                asked = await endpoint.read(body)
                held = leaving.pop_all()
        except ClientDisconnect:
            return Response(status_code=CLIENT_GONE)
        async with held, gate.seat:
            if await request.is_disconnected():
                return Response(status_code=CLIENT_GONE)
            return JSONResponse(await endpoint.answer(asked))

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
