"""Shared parts of all servers: routes, the API key, limits on bodies and requests, and OpenAI's error object."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from envtune.bearer_key import carries
from envtune.serving.refusal import Refusal

Respond = Callable[[Request], Awaitable[Response]]
IsAlive = Callable[[], bool]

BODY_SECONDS = 60.0
# Clients read a response only after sending the whole body: discard up to this multiple of the size limit.
DISCARDED = 8
# Limit on the memory of all bodies, as a multiple of the size limit. The first bytes of each body do not count, so
# large bodies do not block small ones.
HELD = 8
UNCOUNTED = 64 * 2**10


def require_key(request: Request, api_key: str | None) -> None:
    """Raise Refusal unless the request has ``api_key`` as its bearer token; None requires no key."""
    if api_key is not None and not carries(request.headers.get("authorization", ""), api_key):
        raise Refusal(401, "the API key is missing or wrong: send Authorization: Bearer KEY", code="invalid_api_key")


class Bodies:
    """Receives request bodies of at most ``limit`` bytes each, with a limit on their total size."""

    def __init__(self, limit: int) -> None:
        self._limit, self._held = limit, 0

    @asynccontextmanager
    async def received(self, request: Request) -> AsyncIterator[bytearray]:
        """Yield the body, which counts towards the total size until the context ends.

        Raises:
            Refusal: the content type is not JSON, the body is too large or too slow, or the total size is exceeded.
        """
        # Browsers send cross-origin JSON only after a preflight request, which this server does not accept.
        if request.headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
            raise Refusal(415, "the body must be sent as application/json")
        body = bytearray()
        try:
            try:
                await asyncio.wait_for(self._read(request, body), BODY_SECONDS)
            except (TimeoutError, asyncio.TimeoutError) as error:
                raise Refusal(408, f"the body did not arrive within {BODY_SECONDS:g} s") from error
            yield body
        finally:
            self._held -= _counted(body)
            body.clear()

    async def _read(self, request: Request, body: bytearray) -> None:
        size = 0
        async for chunk in request.stream():
            size += len(chunk)
            self._held -= _counted(body)
            if size <= self._limit:
                body += chunk
            else:
                body.clear()
            self._held += _counted(body)
            if self._held > self._limit * HELD:
                raise Refusal(429, "the server is receiving too much data: try again later", code="queue_full")
            if size > self._limit * DISCARDED:
                break
        if size > self._limit:
            raise Refusal(413, f"the body is larger than {self._limit} bytes", code="body_too_large")


def _counted(body: bytearray) -> int:
    return max(0, len(body) - UNCOUNTED)


class Gate:
    """A queue of at most ``running`` + ``waiting`` requests, of which ``running`` hold a slot.

    Use ``async with gate.admission()`` from a request's arrival on, and ``async with gate.slots`` while it runs.
    """

    def __init__(self, running: int, waiting: int) -> None:
        self.slots = asyncio.Semaphore(running)
        self._running, self._limit, self._admitted = running, running + waiting, 0

    @asynccontextmanager
    async def admission(self) -> AsyncIterator[None]:
        """Count a request as admitted inside the context.

        Raises:
            Refusal: the queue is full.
        """
        if self._admitted >= self._limit:
            requests = f"{self._admitted} requests, of which {self._running} run"
            raise Refusal(429, f"the queue is full with {requests}: try again later", code="queue_full")
        self._admitted += 1
        try:
            yield
        finally:
            self._admitted -= 1


def application(
    path: str, respond: Respond, model: Mapping[str, Any], api_key: str | None, is_alive: IsAlive = lambda: True
) -> Starlette:
    """Return an application with the routes ``path``, /v1/models and /health.

    Args:
        path: the route of a POST request.
        respond: its response.
        model: the id and further fields of the served model.
        api_key: required for all routes but /health; None requires none.
        is_alive: whether the server can respond.
    """

    async def post(request: Request) -> Response:
        require_key(request, api_key)
        return await respond(request)

    async def models(request: Request) -> Response:
        require_key(request, api_key)
        return JSONResponse({"object": "list", "data": [{**model, "object": "model", "owned_by": "envtune"}]})

    async def health(request: Request) -> Response:
        alive = is_alive()
        return JSONResponse({"status": "ok" if alive else "the completion server has ended"}, 200 if alive else 503)

    routes = [Route(path, post, methods=["POST"]), Route("/v1/models", models), Route("/health", health)]
    return Starlette(routes=routes, exception_handlers=HANDLERS)


async def refused(request: Request, error: Exception) -> Response:
    """Return the error response to a request that raised ``error``."""
    if isinstance(error, Refusal):
        headers = {"Retry-After": "1"} if error.status in (429, 503) else None
        return JSONResponse(error.body, error.status, headers)
    if isinstance(error, HTTPException):
        refusal = Refusal(error.status_code, f"{request.method} {request.url.path}: {error.detail}")
        return JSONResponse(refusal.body, error.status_code, error.headers)
    return JSONResponse(Refusal(500, "the server failed; its log has the details").body, 500)


HANDLERS = {Refusal: refused, HTTPException: refused, Exception: refused}
