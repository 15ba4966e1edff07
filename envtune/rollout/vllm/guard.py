"""Middleware of a vLLM server that requires an API key for every route. vLLM loads it by name; importing needs no vLLM.

vLLM's ``--api-key`` protects only paths below /v1, /v2, /inference and /cohere (source of 0.32.0). It leaves open the
routes that replace weights or empty the cache (/collective_rpc, /reset_prefix_cache, /update_weights), /pause, /sleep,
/abort_requests, /tokenize, and /invocations, which samples.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from envtune.bearer_key import carries, key_from

GUARD = "envtune.rollout.vllm.guard.Guard"
# vLLM reads this variable for its own check as well.
KEY_VARIABLE = "VLLM_API_KEY"

Scope = Mapping[str, Any]
Receive = Callable[[], Awaitable[Any]]
Send = Callable[[Mapping[str, Any]], Awaitable[None]]


class Guard:
    """ASGI middleware that responds with 401 unless a request has the key in ``VLLM_API_KEY``; /health is open.

    If no key is set, cross-origin requests of web pages are rejected: any page open on this machine could send them.
    """

    def __init__(self, app: Callable[[Scope, Receive, Send], Awaitable[None]]) -> None:
        self._app, self._key = app, key_from(KEY_VARIABLE)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on to the server, or reject it."""
        refusal = self._refusal(scope)
        if refusal is None:
            await self._app(scope, receive, send)
        elif scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008})
        else:
            status, message = refusal
            body = json.dumps({"error": {"message": message, "type": "invalid_request_error"}}).encode()
            headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
            await send({"type": "http.response.start", "status": status, "headers": headers})
            await send({"type": "http.response.body", "body": body})

    def _refusal(self, scope: Scope) -> tuple[int, str] | None:
        """Return HTTP status and message of a rejected request, None for an accepted one."""
        if scope["type"] not in ("http", "websocket") or scope["path"] == "/health":
            return None
        headers = {name.lower(): value.decode("latin-1") for name, value in scope["headers"]}
        if self._key is None:
            return (403, "web pages may not use this server without its key") if b"origin" in headers else None
        if carries(headers.get(b"authorization", ""), self._key):
            return None
        return 401, "the API key is missing or wrong: send Authorization: Bearer KEY"
