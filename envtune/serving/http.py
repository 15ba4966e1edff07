"""What every route shares: the body with its limits, the key, and refusals as OpenAI's error object."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from envtune.bearer_key import carries
from envtune.serving.refusal import Refusal

BODY_SECONDS = 60.0
# A client that is still sending sees our answer only once it is done: that much of a body too large is thrown away.
DISCARDED = 8
# So many bodies of the greatest size may be in memory together. Bytes at the beginning of each do not count, so that
# small requests are read whatever others send.
HELD = 8
UNCOUNTED = 64 * 2**10


def require_key(request: Request, api_key: str | None) -> None:
    """Raises Refusal unless the request carries ``api_key`` as its bearer token; None asks for nothing."""
    if api_key is not None and not carries(request.headers.get("authorization", ""), api_key):
        raise Refusal(401, "the API key is missing or wrong: send Authorization: Bearer KEY", code="invalid_api_key")


class Bodies:
    """The bodies of a server's requests: of at most ``limit`` bytes each, and of bounded size together."""

    def __init__(self, limit: int) -> None:
        self._limit, self._held = limit, 0

    @asynccontextmanager
    async def received(self, request: Request) -> AsyncIterator[bytearray]:
        """The body, which counts as in memory until the context ends.

        Raises:
            Refusal: it is not declared as JSON, too large, does not arrive in time, or there is no room for it.
        """
        # Web pages may send plain text to any server on this machine, but JSON only to one that has agreed.
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
                raise Refusal(429, "too much is being sent to this server: try again later", code="queue_full")
            if size > self._limit * DISCARDED:
                break
        if size > self._limit:
            raise Refusal(413, f"the body is larger than {self._limit} bytes", code="body_too_large")


def _counted(body: bytearray) -> int:
    return max(0, len(body) - UNCOUNTED)


async def refused(request: Request, error: Exception) -> Response:
    """The answer to a request that ended in ``error``."""
    if isinstance(error, Refusal):
        headers = {"Retry-After": "1"} if error.status in (429, 503) else None
        return JSONResponse(error.body, error.status, headers)
    if isinstance(error, HTTPException):
        refusal = Refusal(error.status_code, f"{request.method} {request.url.path}: {error.detail}")
        return JSONResponse(refusal.body, error.status_code, error.headers)
    return JSONResponse(Refusal(500, "the server failed; its log says how").body, 500)


HANDLERS = {Refusal: refused, HTTPException: refused, Exception: refused}
