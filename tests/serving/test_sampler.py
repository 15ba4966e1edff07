"""Completions of concurrent requests against those of the generator, and their server."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from stand_ins import upstream_of
from starlette.testclient import TestClient
from toy_world import toy_model

from envtune.errors import UserError
from envtune.rollout.generator import Completion, Request
from envtune.rollout.hf.hf_generator import HFGenerator
from envtune.rollout.hf.running_batch import RunningBatch
from envtune.rollout.hf.sampling import Sampling
from envtune.serving.completion_server import Model, completion_application
from envtune.serving.refusal import Refusal
from envtune.serving.sampler import Sampler
from envtune.serving.upstream import CompletionRequest

PLAIN, GREEDY, COLD = Sampling(1.0, 1.0, False), Sampling(1.0, 1.0, True), Sampling(0.5, 1.0, False)
MODEL = Model("toy", 400, 100)
BODY = {"model": "toy", "prompt": [5, 6], "max_tokens": 3, "temperature": 0.5, "top_p": 1.0, "stop_token_ids": [1]}


def request(number: int) -> Request:
    return Request(tuple(range(3, 8 + number)), seed=number, max_new_tokens=6 + number % 5, end_ids=(9,))


def sampled_alone(number: int, sampling: Sampling) -> tuple[int, ...]:
    generator, found = HFGenerator(sampling.temperature, sampling.top_p), []
    generator.update_weights(toy_model(), 0)
    generator.run([request(number)], lambda _, completion: found.append(completion), sampling.greedy)  # type: ignore[func-returns-value]
    return found[0].ids


def test_completions_do_not_depend_on_concurrent_requests() -> None:
    sampler = Sampler(toy_model(), max_batch_size=4, max_cache_tokens=4096)
    settings = [(PLAIN, GREEDY, PLAIN, COLD)[number % 4] for number in range(12)]
    futures = [sampler.submit(request(number), sampling) for number, sampling in enumerate(settings)]
    for number, sampling in enumerate(settings):
        assert futures[number].result(60).ids == sampled_alone(number, sampling)


def test_a_failure_affects_only_the_requests_of_the_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    sampler = Sampler(toy_model(), max_batch_size=4, max_cache_tokens=4096)
    step = RunningBatch.step

    def fail(batch: RunningBatch) -> Any:
        raise MemoryError("too large")

    monkeypatch.setattr(RunningBatch, "step", fail)
    with pytest.raises(MemoryError, match="too large"):
        sampler.submit(request(0), PLAIN).result(60)
    monkeypatch.setattr(RunningBatch, "step", step)
    assert isinstance(sampler.submit(request(0), PLAIN).result(60), Completion)


def test_an_unsupported_model_is_refused() -> None:
    model = toy_model()
    model._supports_attention_backend = False
    with pytest.raises(UserError, match="AttentionInterface"):
        Sampler(model, 4, 4096)


def test_the_server_is_compatible_with_the_client_of_the_chat_endpoint() -> None:
    async def ask() -> tuple[int | None, tuple[int, ...], bool]:
        upstream = upstream_of(completion_application(MODEL, Sampler(toy_model(), 4, 4096)))
        window = await upstream.connect()
        sampled = await upstream.complete(CompletionRequest((3, 4, 5, 6, 7), 6, 0.0, 1.0, None, (9,)))
        with pytest.raises(Refusal, match="must fit the window of 100"):
            await upstream.complete(CompletionRequest(range(3, 98), 6, 0.0, 1.0, None, ()))
        return window, sampled.ids, sampled.clipped

    window, ids, clipped = asyncio.run(ask())
    assert (window, ids) == (100, sampled_alone(0, GREEDY))
    assert clipped == (ids[-1] not in (1, 9))


@pytest.mark.parametrize(
    ("change", "status"),
    [
        ({"model": "other"}, 404),
        ({"prompt": "words"}, 400),
        ({"prompt": []}, 400),
        ({"prompt": [400]}, 400),
        ({"prompt": [True, "x"]}, 400),
        ({"stop_token_ids": None}, 400),
        ({"max_tokens": 0}, 400),
        ({"max_tokens": 99}, 400),
        ({"temperature": -1}, 400),
        ({"top_p": 0}, 400),
        ({"seed": -1}, 400),
    ],
)
def test_an_invalid_request_is_refused(change: dict[str, Any], status: int) -> None:
    client = TestClient(completion_application(MODEL, Sampler(toy_model(), 4, 4096), "key"))
    assert client.post("/v1/completions", json=BODY).status_code == 401
    headers = {"authorization": "Bearer key"}
    assert client.post("/v1/completions", json=BODY, headers=headers).status_code == 200
    assert client.post("/v1/completions", json=BODY | change, headers=headers).status_code == status
