"""The HTTP server of an endpoint: uvicorn with a time limit on request heads.

Uvicorn itself only limits the time between a response and the next request.
"""

from __future__ import annotations

import asyncio
from typing import Any

import uvicorn
from typing_extensions import override
from uvicorn.protocols.http.h11_impl import H11Protocol

HEAD_SECONDS = 10.0
# Longer than clients keep idle connections, so that the client closes them.
KEPT_SECONDS = 75


def http_server(application: Any, host: str = "127.0.0.1", port: int = 0) -> uvicorn.Server:
    """Return a server of ``application`` that closes connections without a timely request."""
    return uvicorn.Server(
        uvicorn.Config(
            application,
            host=host,
            port=port,
            http=TimedHeadProtocol,
            ws="none",
            log_level="warning",
            timeout_keep_alive=KEPT_SECONDS,
            timeout_graceful_shutdown=5,
        )
    )


class TimedHeadProtocol(H11Protocol):
    """Closes a connection if a request's head takes more than ``HEAD_SECONDS``.

    The time starts with the connection, or with the first byte after a response; such bytes may also be the rest of a
    refused body.
    """

    _deadline: asyncio.TimerHandle | None = None

    @override
    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._watch()

    @override
    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        self._watch()

    @override
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
