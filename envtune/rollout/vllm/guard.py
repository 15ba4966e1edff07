"""Lets nobody but the holder of a key reach a vLLM server. Loaded there as middleware, by name; needs no vLLM.

vLLM's own ``--api-key`` guards what stands below /v1, /v2, /inference and /cohere (read in 0.32.0). Open remain the
calls that replace weights or empty the cache (/collective_rpc, /reset_prefix_cache, /update_weights), /pause, /sleep,
/abort_requests, /tokenize, and /invocations, which samples.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from envtune.bearer_key import carries, key_from

GUARD = "envtune.rollout.vllm.guard.Guard"
# Also read by vLLM, for its own check.
KEY_VARIABLE = "VLLM_API_KEY"

Scope = Mapping[str, Any]
Receive = Callable[[], Awaitable[Any]]
Send = Callable[[Mapping[str, Any]], Awaitable[None]]


class Guard:
    """ASGI middleware: answers 401 unless a request carries the key in ``VLLM_API_KEY``; /health is open.

    Without a key, requests of web pages are refused: a page that is open on this machine could send them.
    """

    def __init__(self, app: Callable[[Scope, Receive, Send], Awaitable[None]]) -> None:
        self._app, self._key = app, key_from(KEY_VARIABLE)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
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
        """HTTP status and reason, if the request is refused."""
        if scope["type"] not in ("http", "websocket") or scope["path"] == "/health":
            return None
        headers = {name.lower(): value.decode("latin-1") for name, value in scope["headers"]}
        if self._key is None:
            return (403, "web pages may not use this server without its key") if b"origin" in headers else None
        if carries(headers.get(b"authorization", ""), self._key):
            return None
        return 401, "the API key is missing or wrong: send Authorization: Bearer KEY"
