from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import httpx2
import pytest

from envtune.errors import UserError
from envtune.serving.refusal import Refusal
from envtune.serving.upstream import Order, Upstream, UpstreamCompletion

ORDER = Order((5, 6), 3, 0.5, 0.9, None, (1, 2))
ANSWER = {"choices": [{"token_ids": [7, 1], "finish_reason": "stop"}]}
MODELS = {"data": [{"id": "m", "max_model_len": 99}]}


def upstream(answer: Callable[[httpx2.Request], httpx2.Response]) -> Upstream:
    return Upstream("http://behind", 5.0, "key", httpx2.MockTransport(answer))


def complete(answer: Any, status: int = 200) -> UpstreamCompletion:
    return asyncio.run(upstream(lambda _: httpx2.Response(status, json=answer)).complete(ORDER))


def test_ids_go_in_with_the_clients_sampling_and_no_default_of_the_models() -> None:
    seen: list[httpx2.Request] = []

    def answer(request: httpx2.Request) -> httpx2.Response:
        seen.append(request)
        return httpx2.Response(200, json=MODELS if request.url.path == "/v1/models" else ANSWER)

    async def connect_and_complete() -> tuple[int | None, UpstreamCompletion]:
        server = upstream(answer)
        return await server.connect(), await server.complete(ORDER)

    assert asyncio.run(connect_and_complete()) == (99, UpstreamCompletion((7, 1), False))
    assert {request.headers["authorization"] for request in seen} == {"Bearer key"}
    assert httpx2.Response(200, content=seen[-1].content).json() == {
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
    ("answer", "status", "told"),
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
def test_an_answer_that_is_none_is_a_refusal(answer: Any, status: int, told: int) -> None:
    with pytest.raises(Refusal) as refusal:
        complete(answer, status)
    assert refusal.value.status == told


@pytest.mark.parametrize(("error", "told"), [(httpx2.ReadTimeout("slow"), 504), (httpx2.ConnectError("gone"), 502)])
def test_a_server_that_is_slow_or_gone_is_told_apart(error: Exception, told: int) -> None:
    def fail(request: httpx2.Request) -> httpx2.Response:
        raise error

    with pytest.raises(Refusal) as refusal:
        asyncio.run(upstream(fail).complete(ORDER))
    assert refusal.value.status == told


@pytest.mark.parametrize("models", [{"data": []}, [], {"data": [{"name": "m"}]}])
def test_a_server_without_a_model_cannot_be_used(models: Any) -> None:
    with pytest.raises(UserError, match="http://behind is no completion server that can be used"):
        asyncio.run(upstream(lambda _: httpx2.Response(200, json=models)).connect())


def test_a_server_that_takes_no_ids_cannot_be_used() -> None:
    """`transformers serve`, for one."""

    def answer(request: httpx2.Request) -> httpx2.Response:
        if request.url.path == "/v1/models":
            return httpx2.Response(200, json=MODELS)
        return httpx2.Response(400, json={"detail": "prompt must be a string."})

    with pytest.raises(UserError, match=r"prompt must be a string.*: give one that takes and returns token ids"):
        asyncio.run(upstream(answer).connect())
