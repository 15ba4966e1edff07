from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import httpx2
import pytest

from envtune.errors import UserError
from envtune.serving.refusal import Refusal
from envtune.serving.upstream import CompletionRequest, Upstream, UpstreamCompletion

REQUEST = CompletionRequest((5, 6), 3, 0.5, 0.9, None, (1, 2))
ANSWER = {"choices": [{"token_ids": [7, 1], "finish_reason": "stop"}]}
MODELS = {"data": [{"id": "m", "max_model_len": 99}]}


def upstream(answer: Callable[[httpx2.Request], httpx2.Response]) -> Upstream:
    return Upstream("http://behind", 5.0, "key", httpx2.MockTransport(answer))


def complete(answer: Any, status: int = 200) -> UpstreamCompletion:
    return asyncio.run(upstream(lambda _: httpx2.Response(status, json=answer)).complete(REQUEST))


def test_a_request_has_the_clients_sampling_settings_and_overrides_the_models_defaults() -> None:
    requests: list[httpx2.Request] = []

    def answer(request: httpx2.Request) -> httpx2.Response:
        requests.append(request)
        return httpx2.Response(200, json=MODELS if request.url.path == "/v1/models" else ANSWER)

    async def connect_and_complete() -> tuple[int | None, UpstreamCompletion]:
        server = upstream(answer)
        return await server.connect(), await server.complete(REQUEST)

    assert asyncio.run(connect_and_complete()) == (99, UpstreamCompletion((7, 1), False))
    assert {request.headers["authorization"] for request in requests} == {"Bearer key"}
    assert httpx2.Response(200, content=requests[-1].content).json() == {
        "model": "m",
        "prompt": [5, 6],
        "max_tokens": 3,
        "temperature": 0.5,
        "top_p": 0.9,
        "stop_token_ids": [1, 2],
        "return_token_ids": True,
        "skip_special_tokens": False,
        "top_k": 0,
        "min_p": 0.0,
        "repetition_penalty": 1.0,
    }


def test_a_completion_at_its_length_limit_is_clipped() -> None:
    assert complete({"choices": [{"token_ids": [7], "finish_reason": "length"}]}) == UpstreamCompletion((7,), True)


@pytest.mark.parametrize(
    ("answer", "status", "expected"),
    [
        ({"error": "x"}, 400, 502),
        ({"error": "x"}, 500, 502),
        ({"error": "x"}, 429, 503),
        ({"error": "x"}, 503, 503),
        ([], 200, 502),
        ({"choices": []}, 200, 502),
        ({"choices": [{"text": "words", "finish_reason": "stop"}]}, 200, 502),
        ({"choices": [{"token_ids": [], "finish_reason": "stop"}]}, 200, 502),
        ({"choices": [{"token_ids": [7], "finish_reason": "abort"}]}, 200, 502),
    ],
)
def test_an_invalid_response_is_refused(answer: Any, status: int, expected: int) -> None:
    with pytest.raises(Refusal) as refusal:
        complete(answer, status)
    assert refusal.value.status == expected


@pytest.mark.parametrize(("error", "expected"), [(httpx2.ReadTimeout("slow"), 504), (httpx2.ConnectError("gone"), 502)])
def test_timeouts_and_connection_errors_have_different_statuses(error: Exception, expected: int) -> None:
    def fail(request: httpx2.Request) -> httpx2.Response:
        raise error

    with pytest.raises(Refusal) as refusal:
        asyncio.run(upstream(fail).complete(REQUEST))
    assert refusal.value.status == expected


@pytest.mark.parametrize("models", [{"data": []}, [], {"data": [{"name": "m"}]}])
def test_a_server_without_a_model_is_refused(models: Any) -> None:
    with pytest.raises(UserError, match="http://behind is not a usable completion server"):
        asyncio.run(upstream(lambda _: httpx2.Response(200, json=models)).connect())


def test_a_server_without_support_for_ids_is_refused() -> None:
    """`transformers serve` is one."""

    def answer(request: httpx2.Request) -> httpx2.Response:
        if request.url.path == "/v1/models":
            return httpx2.Response(200, json=MODELS)
        return httpx2.Response(400, json={"detail": "prompt must be a string."})

    with pytest.raises(UserError, match=r"prompt must be a string.*: give one that takes and returns token ids"):
        asyncio.run(upstream(answer).connect())
