"""The guard in front of an application that has routes as vLLM's; what vLLM does with it is read in its source."""

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
# Below the first, vLLM checks the key itself.
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
        routes=[
            WebSocketRoute("/v1/realtime", talk),
            Route("/{path:path}", answer, methods=["GET", "POST", "OPTIONS"]),
        ]
    )
    # As vLLM adds what --middleware names.
    module, _, name = GUARD.rpartition(".")
    app.add_middleware(getattr(import_module(module), name))
    with TestClient(app) as client:
        yield client


@pytest.mark.parametrize("client", ["key"], indirect=True)
@pytest.mark.parametrize("path", PATHS)
def test_nothing_but_health_answers_without_the_key(client: TestClient, path: str) -> None:
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
def test_without_a_key_programs_are_answered_and_web_pages_are_not(client: TestClient) -> None:
    assert client.post("/collective_rpc").text == "yes"
    assert client.post("/collective_rpc", headers={"origin": "http://evil.example"}).status_code == 403


def test_the_name_by_which_vllm_loads_the_guard_is_its_own() -> None:
    assert f"{Guard.__module__}.{Guard.__qualname__}" == GUARD
