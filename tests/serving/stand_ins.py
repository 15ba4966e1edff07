"""A scripted completion server and clients for tests of the endpoint."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import httpx2
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.testclient import TestClient
from toy_world import STYLE

from envtune.chat.template import Template
from envtune.serving.chat_request import Limits
from envtune.serving.endpoint import Endpoint, Served, chat_application
from envtune.serving.http import Gate
from envtune.serving.listening import http_server
from envtune.serving.upstream import Upstream

END = 1  # <|im_end|> of the toy tokenizer
MODEL = "toy"
LS_TOOL = {
    "type": "function",
    "function": {"name": "ls", "description": "Does ls.", "parameters": {"type": "object", "properties": {}}},
}
HELLO = [{"role": "user", "content": "Hello."}]


class ScriptedServer:
    """Responds to each request with the next of ``texts``, clipped to ``max_tokens``, and records request bodies.

    A ``status`` other than 200 is the response to every request.
    """

    def __init__(self, tokenizer: Any, *texts: str) -> None:
        self.bodies: list[dict[str, Any]] = []
        self.status = 200
        self._tokenizer, self._texts = tokenizer, iter(texts)

    @property
    def app(self) -> Starlette:
        return Starlette(
            routes=[Route("/v1/completions", self._complete, methods=["POST"]), Route("/v1/models", _models)]
        )

    async def _complete(self, request: Request) -> Response:
        body = await request.json()
        self.bodies.append(body)
        if self.status != 200:
            return JSONResponse({"error": "no"}, self.status)
        ids = [*self._tokenizer.encode(next(self._texts)), END]
        clipped = len(ids) > body["max_tokens"]
        choice = {"token_ids": ids[: body["max_tokens"]], "finish_reason": "length" if clipped else "stop"}
        return JSONResponse({"choices": [choice]})


async def _models(request: Request) -> Response:
    return JSONResponse({"data": [{"id": "behind", "max_model_len": 4096}]})


def upstream_of(app: Starlette) -> Upstream:
    return Upstream("http://behind", 5.0, transport=httpx2.ASGITransport(app))


def endpoint_of(
    tokenizer: Any,
    app: Starlette,
    window: int = 4096,
    limits: Limits | None = None,
    gate: Gate | None = None,
    is_alive: Callable[[], bool] = lambda: True,
    api_key: str | None = None,
) -> Starlette:
    """Return the application of an endpoint in front of ``app``."""
    template, limits = Template(tokenizer, STYLE, max_observation_tokens=200), limits or Limits(64)
    endpoint = Endpoint(Served(MODEL, window, frozenset({END})), template, upstream_of(app), limits)
    return chat_application(endpoint, gate or Gate(8, 8), is_alive, api_key)


@contextmanager
def client_of(tokenizer: Any, app: Starlette, **settings: Any) -> Iterator[TestClient]:
    """Yield a client of ``endpoint_of``, which OpenAI's client accepts as its ``http_client``."""
    with TestClient(endpoint_of(tokenizer, app, **settings), raise_server_exceptions=False) as client:
        yield client


@contextmanager
def listening(app: Starlette) -> Iterator[int]:
    """Serve ``app`` and yield its port."""
    server, waiting = http_server(app), socket.create_server(("127.0.0.1", 0))
    thread = threading.Thread(target=server.run, args=([waiting],))
    thread.start()
    try:
        yield waiting.getsockname()[1]
    finally:
        server.should_exit = True
        thread.join()
        waiting.close()
