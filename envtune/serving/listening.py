"""The HTTP server under an endpoint: uvicorn, with a bound on the time that the head of a request may take.

Uvicorn bounds only the time that a connection is kept after a response.
"""

from __future__ import annotations

import asyncio
from typing import Any

import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

HEAD_SECONDS = 10.0
# Longer than clients keep a connection that they do not use.
KEPT_SECONDS = 75


def http_server(application: Any, host: str = "127.0.0.1", port: int = 0) -> uvicorn.Server:
    """A server of ``application`` that leaves connections whose requests do not begin in time."""
    return uvicorn.Server(
        uvicorn.Config(
            application,
            host=host,
            port=port,
            http=PromptProtocol,
            ws="none",
            log_level="warning",
            timeout_keep_alive=KEPT_SECONDS,
            timeout_graceful_shutdown=5,
        )
    )


class PromptProtocol(H11Protocol):
    """Closes a connection on which no request is answered, if ``HEAD_SECONDS`` after its start, or after the first byte
    that follows a response, the head of the next request has not arrived.

    Bytes that follow a response may also be the rest of a body that was refused.
    """

    _deadline: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._watch()

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        self._watch()

    def connection_lost(self, exc: Exception | None) -> None:
        self._unwatch()
        super().connection_lost(exc)

    def _watch(self) -> None:
        if self.cycle is not None and not self.cycle.response_complete:
            self._unwatch()
        elif self._deadline is None and self.timeout_keep_alive_task is None:
            self._deadline = self.loop.call_later(HEAD_SECONDS, self.transport.close)

    def _unwatch(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None
