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

from envtune.chat.template import Template
from envtune.serving.chat_request import Limits, read_chat_request
from envtune.serving.conversations import Conversations, Prompt
from envtune.serving.http import Bodies, Gate, application
from envtune.serving.messages import chat_completion, read_reply
from envtune.serving.refusal import Refusal
from envtune.serving.upstream import CompletionRequest, Upstream

# HTTP status for a closed connection, as in nginx.
CLIENT_GONE = 499
# Bodies of more than this many bytes are parsed one at a time.
LONG = 256 * 2**10


@dataclass(frozen=True)
class Served:
    """The served model."""

    name: str
    window: int
    """Context length in tokens."""
    end_ids: frozenset[int]
    """Tokens that end a completion, in addition to those of the template."""


@dataclass(frozen=True, slots=True)
class ParsedRequest:
    """A parsed request, without its text: many requests may wait."""

    has_tools: bool
    prompt: Prompt
    completion: CompletionRequest


class Endpoint:
    """Responds to chat requests and stores conversations. No request waits for the response of another one."""

    def __init__(self, served: Served, template: Template, upstream: Upstream, limits: Limits) -> None:
        self.served, self.limits, self._upstream, self._template = served, limits, upstream, template
        self._conversations = Conversations(template, served.window)
        self._end_ids = tuple(sorted(served.end_ids.union(template.end_ids)))
        # Long bodies take seconds and a multiple of their size in memory: one at a time; a thread is left for others.
        self._threads = ThreadPoolExecutor(2, thread_name_prefix="reader")
        self._long = asyncio.Semaphore(1)

    async def read(self, body: bytearray) -> ParsedRequest:
        """Parse the body of a request.

        Raises:
            Refusal: the request is not valid or its prompt exceeds the window.
        """
        loop = asyncio.get_running_loop()
        async with self._long if len(body) > LONG else nullcontext():
            # In a thread: a long body would block the event loop.
            return await loop.run_in_executor(self._threads, self._read, body)

    async def respond(self, request: ParsedRequest) -> dict[str, Any]:
        """Return OpenAI's ``chat.completion`` object.

        Raises:
            Refusal: the completion server failed.
        """
        sampled = await self._upstream.complete(request.completion)
        reply = read_reply(self._template.decode(sampled.ids), request.has_tools, self._template.protocol)
        self._conversations.store(request.prompt, reply, sampled.ids)
        return chat_completion(self.served.name, reply, sampled.clipped, len(request.prompt.ids), len(sampled.ids))

    def _read(self, body: bytearray) -> ParsedRequest:
        request = read_chat_request(body, self.limits)
        if request.model != self.served.name:
            message = f"the model {request.model[:100]!r} does not exist: use {self.served.name!r}"
            raise Refusal(404, message, "model", "model_not_found")
        try:
            prompt = self._conversations.prompt(request.messages, request.tools, request.conversation)
        except RecursionError as error:
            raise Refusal(400, "the body is nested too deeply") from error
        limit = min(request.max_tokens, self.served.window - len(prompt.ids))
        wanted = CompletionRequest(prompt.ids, limit, request.temperature, request.top_p, request.seed, self._end_ids)
        return ParsedRequest(bool(request.tools), prompt, wanted)


def chat_application(endpoint: Endpoint, gate: Gate, is_alive: Callable[[], bool], api_key: str | None) -> Starlette:
    """Return the application with the routes /v1/chat/completions, /v1/models and /health.

    ``is_alive`` returns whether the completion server runs. Clients must send ``api_key`` unless it is None.
    """
    bodies = Bodies(endpoint.limits.body_bytes)

    async def chat(request: Request) -> Response:
        try:
            # Admission follows the body: otherwise slow senders would occupy the queue.
            async with bodies.received(request) as body, AsyncExitStack() as stack:
                await stack.enter_async_context(gate.admission())
                parsed = await endpoint.read(body)
                admission = stack.pop_all()
        except ClientDisconnect:
            return Response(status_code=CLIENT_GONE)
        async with admission, gate.slots:
            if await request.is_disconnected():
                return Response(status_code=CLIENT_GONE)
            return JSONResponse(await endpoint.respond(parsed))

    model = {"id": endpoint.served.name, "created": int(time.time())}
    return application("/v1/chat/completions", chat, model, api_key, is_alive)
