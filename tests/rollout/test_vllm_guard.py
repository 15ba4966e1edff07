"""The guard in front of an application with vLLM's routes. How vLLM loads it was verified in its source."""

from __future__ import annotations

from collections.abc import Iterator
from importlib import import_module

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route, WebSocketRoute
from starlette.testclient import TestClient
from starlette.websockets import WebSocket, WebSocketDisconnect

from envtune.rollout.vllm.guard import GUARD, Guard

KEY = {"authorization": "Bearer key"}
# vLLM itself checks the key only below the first one.
PATHS = ("/inference/v1/generate", "/collective_rpc", "/reset_prefix_cache", "/invocations", "/metrics", "/health/x")


async def answer(request: Request) -> Response:
    return PlainTextResponse("yes")


async def talk(socket: WebSocket) -> None:
    await socket.accept()
    await socket.send_text("yes")
    await socket.close()


@pytest.fixture
def client(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> Iterator[TestClient]:
    monkeypatch.delenv("VLLM_API_KEY", raising=False)
    if request.param:
        monkeypatch.setenv("VLLM_API_KEY", request.param)
    app = Starlette(
        routes=[WebSocketRoute("/v1/realtime", talk), Route("/{path:path}", answer, methods=["GET", "POST", "OPTIONS"])]
    )
    # As vLLM adds middleware named by --middleware.
    module, _, name = GUARD.rpartition(".")
    app.add_middleware(getattr(import_module(module), name))
    with TestClient(app) as client:
        yield client


@pytest.mark.parametrize("client", ["key"], indirect=True)
@pytest.mark.parametrize("path", PATHS)
def test_only_health_responds_without_the_key(client: TestClient, path: str) -> None:
    for headers in ({}, {"authorization": "Bearer other"}, {"authorization": "key"}):
        for method in ("GET", "POST", "OPTIONS"):
            response = client.request(method, path, headers=headers)
            assert response.status_code == 401
            assert response.json()["error"]["message"].startswith("the API key is missing or wrong")
    assert client.post(path, headers=KEY).text == "yes"
    assert client.get("/health").text == "yes"


@pytest.mark.parametrize("client", ["key"], indirect=True)
def test_a_websocket_needs_the_key_as_well(client: TestClient) -> None:
    with pytest.raises(WebSocketDisconnect), client.websocket_connect("/v1/realtime"):
        pass
    with client.websocket_connect("/v1/realtime", headers=KEY) as socket:
        assert socket.receive_text() == "yes"


@pytest.mark.parametrize("client", [None], indirect=True)
def test_without_a_key_cross_origin_requests_are_rejected(client: TestClient) -> None:
    assert client.post("/collective_rpc").text == "yes"
    assert client.post("/collective_rpc", headers={"origin": "http://evil.example"}).status_code == 403


def test_the_name_for_vllm_points_to_the_guard() -> None:
    assert f"{Guard.__module__}.{Guard.__qualname__}" == GUARD
