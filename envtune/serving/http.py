"""What every route shares: the body with its limits, the key, and refusals as OpenAI's error object."""

from __future__ import annotations

import asyncio
import hmac

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from envtune.serving.refusal import Refusal

BODY_SECONDS = 60.0
# A client that is still sending sees our answer only once it is done: that much of a body too large is thrown away.
DISCARDED = 8


def require_key(request: Request, api_key: str | None) -> None:
    """Raises Refusal unless the request carries ``api_key`` as its bearer token; None asks for nothing."""
    if api_key is None:
        return
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not hmac.compare_digest(token.strip().encode(), api_key.encode()):
        raise Refusal(401, "the API key is missing or wrong: send Authorization: Bearer KEY", code="invalid_api_key")


async def read_json_body(request: Request, limit: int) -> bytes:
    """The body, of at most ``limit`` bytes.

    Raises:
        Refusal: it is not declared as JSON, too large, or does not arrive in time.
    """
    # Web pages may send plain text to any server on this machine, but JSON only to one that has agreed.
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
        raise Refusal(415, "the body must be sent as application/json")
    try:
        return await asyncio.wait_for(_read(request, limit), BODY_SECONDS)
    except (TimeoutError, asyncio.TimeoutError) as error:
        raise Refusal(408, f"the body did not arrive within {BODY_SECONDS:g} s") from error


async def _read(request: Request, limit: int) -> bytes:
    chunks, size = [], 0
    async for chunk in request.stream():
        size += len(chunk)
        if size <= limit:
            chunks.append(chunk)
        else:
            chunks.clear()
        if size > limit * DISCARDED:
            break
    if size > limit:
        raise Refusal(413, f"the body is larger than {limit} bytes", code="body_too_large")
    return b"".join(chunks)


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
