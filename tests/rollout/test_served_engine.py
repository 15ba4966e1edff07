"""How the client of a vLLM server meets servers that are not what it needs; tests/real_vllm has a real one."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest
import torch
from aiohttp import web
from test_hf_generator import tiny_model

from envtune.errors import UserError
from envtune.rollout.vllm.engine import EngineCompletion, EngineError
from envtune.rollout.vllm.event_loop import LoopThread
from envtune.rollout.vllm.served_engine import ServedEngine

CONFIG = tiny_model().config
SERVED = {
    "model_type": "qwen2",
    "vocab_size": CONFIG.vocab_size,
    "hidden_size": CONFIG.hidden_size,
    "num_hidden_layers": CONFIG.num_hidden_layers,
    "dtype": "bfloat16",
    "max_model_len": 300,
}
GENERATED = {
    "choices": [
        {
            "token_ids": [7, 8],
            "logprobs": {"content": [{"token_id": 7, "logprob": -0.5}, {"token_id": 8, "logprob": -1.0}]},
            "finish_reason": "stop",
            "weight_versions": [{"version": "a", "start": 0, "end": 2}],
        }
    ],
    "usage": {"prompt_tokens_details": {"cached_tokens": 32}},
}


class Answering:
    """A server that answers a path with what stands in ``answers``, or not within a minute."""

    def __init__(self) -> None:
        self.answers: dict[str, Any] = {}
        self.asked: list[Any] = []
        self.key: str | None = None
        self.keys: list[str | None] = []

    async def answer(self, request: web.Request) -> web.Response:
        self.keys.append(request.headers.get("authorization"))
        if self.key is not None and self.keys[-1] != f"Bearer {self.key}":
            raise web.HTTPUnauthorized
        if request.path == "/moved":
            raise web.HTTPTemporaryRedirect("/elsewhere")
        self.asked.append(await request.json() if request.can_read_body else None)
        if request.path not in self.answers:
            raise web.HTTPNotFound
        if self.answers[request.path] is None:
            await asyncio.sleep(60)
        if isinstance(self.answers[request.path], str):
            raise web.HTTPInternalServerError(text=self.answers[request.path])
        return web.json_response(self.answers[request.path])


@pytest.fixture
def server() -> Iterator[tuple[Answering, str]]:
    answering, thread = Answering(), LoopThread("fake server")
    application = web.Application()
    application.router.add_post("/{path:.*}", answering.answer)
    runner = web.AppRunner(application, shutdown_timeout=0.1)

    async def start() -> int:
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        return runner.addresses[0][1]

    yield answering, f"http://127.0.0.1:{thread.run(start())}"
    thread.run(runner.cleanup())
    thread.close()


@pytest.fixture
def engine(server: tuple[Answering, str]) -> Iterator[ServedEngine]:
    engine = ServedEngine(server[1] + "/", tokens=300, timeout=30.0)
    yield engine
    engine.close()


def test_the_dtype_is_the_servers(server, engine):
    server[0].answers["/collective_rpc"] = {"results": [SERVED]}
    assert engine.prepare_for(tiny_model()) is torch.bfloat16
    assert server[0].asked == [{"method": "describe_model", "args": [], "timeout": 30.0}]


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("vocab_size", 1, "has a model with vocab_size=1, and the trainer's has 64: start it with the trainer's model"),
        ("max_model_len", 299, "has room for 299 tokens, and the longest episode has 300: start it with --max-model"),
    ],
)
def test_another_model_and_too_little_room_are_refused(server, engine, name, value, message):
    server[0].answers["/collective_rpc"] = {"results": [{**SERVED, name: value}]}
    with pytest.raises(UserError, match=message):
        engine.prepare_for(tiny_model())


def test_a_server_that_was_not_started_for_rollouts_is_refused(engine):
    with pytest.raises(UserError, match=r"was not started for rollouts; start it with python tools/serve_rollouts\.py"):
        engine.prepare_for(tiny_model())


def test_an_absent_server_is_a_mistake_at_first_and_a_death_later():
    engine = ServedEngine("http://127.0.0.1:9", tokens=300, timeout=30.0)
    with pytest.raises(UserError, match=r"no vLLM answers at rollout\.generator\.url=http://127\.0\.0\.1:9 .*: start"):
        engine.prepare_for(tiny_model())
    with pytest.raises(EngineError, match=r"vLLM at http://127\.0\.0\.1:9 has ended and could not empty its cache"):
        engine.forget()
    engine.close()


def test_an_answer_that_does_not_come_in_time_is_given_up(server):
    server[0].answers["/inference/v1/generate"] = None
    engine = ServedEngine(server[1], tokens=300, timeout=0.5)
    with pytest.raises(EngineError, match=r"did not complete a prompt within 0\.5 s"):
        engine.run(engine.complete((1, 2), {}), "sample")
    engine.close()


def test_what_the_server_says_of_an_error_is_handed_on(server, engine):
    server[0].answers["/collective_rpc"] = "no such\nfolder"
    with pytest.raises(EngineError, match=r"could not take the weights \(HTTP 500: no such folder\)"):
        engine.load("weights", torch.bfloat16)
    server[0].answers["/reset_prefix_cache"] = {"success": False}
    with pytest.raises(EngineError, match="could not empty its cache after new weights"):
        engine.forget()


def test_a_completion_has_ids_log_probs_and_the_name_of_the_weights(server, engine):
    server[0].answers["/inference/v1/generate"] = GENERATED
    found = engine.run(engine.complete((1, 2), {"max_tokens": 5}), "sample")
    assert found == EngineCompletion((7, 8), (-0.5, -1.0), "stop", 32, frozenset({"a"}))
    assert server[0].asked == [{"token_ids": [1, 2], "sampling_params": {"max_tokens": 5}}]


@pytest.mark.parametrize(
    ("url", "timeout", "message"),
    [("localhost:8000", 1.0, "url=localhost:8000 is no address"), ("http://a", 0.0, r"timeout=0\.0 must be a number")],
)
def test_values_out_of_range_are_named(url, timeout, message):
    with pytest.raises(UserError, match=message):
        ServedEngine(url, 300, timeout)


def test_the_key_goes_to_the_server_from_the_variable_that_is_named(server, monkeypatch):
    server[0].answers["/collective_rpc"] = {"results": [SERVED]}
    server[0].key = "secret"
    monkeypatch.setenv("A_KEY", "secret")
    engine = ServedEngine(server[1], tokens=300, timeout=30.0, key_variable="A_KEY")
    assert engine.prepare_for(tiny_model()) is torch.bfloat16
    engine.close()


def test_without_a_key_none_is_sent(server, engine):
    server[0].answers["/collective_rpc"] = {"results": [SERVED]}
    engine.prepare_for(tiny_model())
    assert server[0].keys == [None]


@pytest.mark.parametrize(
    ("variable", "message"),
    [
        (None, r"requires a key: export it in a variable and name that, rollout\.generator\.key_variable=VLLM_API_KEY"),
        ("A_KEY", r"does not accept the key in A_KEY \(rollout\.generator\.key_variable\): export the one that it was"),
    ],
)
def test_a_missing_or_wrong_key_is_told_in_a_sentence_without_the_key(server, monkeypatch, variable, message):
    server[0].key = "secret"
    monkeypatch.setenv("A_KEY", "wrong")
    engine = ServedEngine(server[1], tokens=300, timeout=30.0, key_variable=variable)
    with pytest.raises(UserError, match=message) as error:
        engine.prepare_for(tiny_model())
    assert "wrong" not in str(error.value)
    assert "\n" not in str(error.value)
    engine.close()


def test_a_variable_without_a_key_is_refused_before_the_first_request(monkeypatch):
    monkeypatch.delenv("A_KEY", raising=False)
    with pytest.raises(UserError, match=r"key_variable=A_KEY: no such variable is set: export the server's key in it"):
        ServedEngine("http://a", 300, 1.0, key_variable="A_KEY")


def test_the_key_does_not_follow_to_where_the_server_points(server, monkeypatch):
    monkeypatch.setenv("A_KEY", "secret")
    engine = ServedEngine(server[1], tokens=300, timeout=30.0, key_variable="A_KEY")
    with pytest.raises(EngineError, match="HTTP 307"):
        engine._ask("moved", "move")
    assert server[0].keys == ["Bearer secret"]
    engine.close()
