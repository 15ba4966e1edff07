"""The client of a vLLM server against a fake one; tests/real_vllm has a real one."""

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


class FakeServer:
    """Responds to a path with its entry in ``responses``: JSON, text as an error, None after a minute."""

    def __init__(self) -> None:
        self.responses: dict[str, Any] = {}
        self.bodies: list[Any] = []
        self.key: str | None = None
        self.keys: list[str | None] = []

    async def respond(self, request: web.Request) -> web.Response:
        self.keys.append(request.headers.get("authorization"))
        if self.key is not None and self.keys[-1] != f"Bearer {self.key}":
            raise web.HTTPUnauthorized
        if request.path == "/moved":
            raise web.HTTPTemporaryRedirect("/elsewhere")
        self.bodies.append(await request.json() if request.can_read_body else None)
        if request.path not in self.responses:
            raise web.HTTPNotFound
        if self.responses[request.path] is None:
            await asyncio.sleep(60)
        if isinstance(self.responses[request.path], str):
            raise web.HTTPInternalServerError(text=self.responses[request.path])
        return web.json_response(self.responses[request.path])


@pytest.fixture
def server() -> Iterator[tuple[FakeServer, str]]:
    fake, thread = FakeServer(), LoopThread("fake server")
    application = web.Application()
    application.router.add_post("/{path:.*}", fake.respond)
    runner = web.AppRunner(application, shutdown_timeout=0.1)

    async def start() -> int:
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        return runner.addresses[0][1]

    yield fake, f"http://127.0.0.1:{thread.run(start())}"
    thread.run(runner.cleanup())
    thread.close()


@pytest.fixture
def engine(server: tuple[FakeServer, str]) -> Iterator[ServedEngine]:
    engine = ServedEngine(server[1] + "/", tokens=300, timeout=30.0)
    yield engine
    engine.close()


def test_the_dtype_is_that_of_the_server(server, engine):
    server[0].responses["/collective_rpc"] = {"results": [SERVED]}
    assert engine.prepare_for(tiny_model()) is torch.bfloat16
    assert server[0].bodies == [{"method": "describe_model", "args": [], "timeout": 30.0}]


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("vocab_size", 1, "has a model with vocab_size=1, and the trainer's has 64: start it with the trainer's model"),
        ("max_model_len", 299, "has room for 299 tokens, and the longest episode has 300: start it with --max-model"),
    ],
)
def test_a_different_model_and_a_short_context_are_refused(server, engine, name, value, message):
    server[0].responses["/collective_rpc"] = {"results": [{**SERVED, name: value}]}
    with pytest.raises(UserError, match=message):
        engine.prepare_for(tiny_model())


def test_a_server_that_was_not_started_for_rollouts_is_refused(engine):
    with pytest.raises(UserError, match=r"was not started for rollouts; start it with python tools/serve_rollouts\.py"):
        engine.prepare_for(tiny_model())


def test_an_absent_server_is_a_user_error_at_first_and_an_engine_error_later():
    engine = ServedEngine("http://127.0.0.1:9", tokens=300, timeout=30.0)
    with pytest.raises(UserError, match=r"no vLLM server responds at rollout\.generator\.url=http://127\.0\.0\.1:9 "):
        engine.prepare_for(tiny_model())
    with pytest.raises(EngineError, match=r"vLLM at http://127\.0\.0\.1:9 has ended and could not empty its cache"):
        engine.reset_cache()
    engine.close()


def test_a_late_response_raises_an_engine_error(server):
    server[0].responses["/inference/v1/generate"] = None
    engine = ServedEngine(server[1], tokens=300, timeout=0.5)
    with pytest.raises(EngineError, match=r"did not complete a prompt within 0\.5 s"):
        engine.run(engine.complete((1, 2), {}), "sample")
    engine.close()


def test_error_texts_of_the_server_are_part_of_the_error(server, engine):
    server[0].responses["/collective_rpc"] = "no such\nfolder"
    with pytest.raises(EngineError, match=r"could not load the weights \(HTTP 500: no such folder\)"):
        engine.load("weights", torch.bfloat16)
    server[0].responses["/reset_prefix_cache"] = {"success": False}
    with pytest.raises(EngineError, match="could not empty its cache after new weights"):
        engine.reset_cache()


def test_a_completion_has_ids_log_probs_and_the_weight_version(server, engine):
    server[0].responses["/inference/v1/generate"] = GENERATED
    completion = engine.run(engine.complete((1, 2), {"max_tokens": 5}), "sample")
    assert completion == EngineCompletion((7, 8), (-0.5, -1.0), "stop", 32, frozenset({"a"}))
    assert server[0].bodies == [{"token_ids": [1, 2], "sampling_params": {"max_tokens": 5}}]


@pytest.mark.parametrize(
    ("url", "timeout", "message"),
    [
        ("localhost:8000", 1.0, "url=localhost:8000 is not an address"),
        ("http://a", 0.0, r"timeout=0\.0 must be a number"),
    ],
)
def test_values_out_of_range_are_named(url, timeout, message):
    with pytest.raises(UserError, match=message):
        ServedEngine(url, 300, timeout)


def test_the_key_of_the_environment_variable_is_sent(server, monkeypatch):
    server[0].responses["/collective_rpc"] = {"results": [SERVED]}
    server[0].key = "secret"
    monkeypatch.setenv("A_KEY", "secret")
    engine = ServedEngine(server[1], tokens=300, timeout=30.0, key_variable="A_KEY")
    assert engine.prepare_for(tiny_model()) is torch.bfloat16
    engine.close()


def test_no_key_is_sent_without_a_variable(server, engine):
    server[0].responses["/collective_rpc"] = {"results": [SERVED]}
    engine.prepare_for(tiny_model())
    assert server[0].keys == [None]


@pytest.mark.parametrize(
    ("variable", "message"),
    [
        (None, r"requires an API key: export it .* and set rollout\.generator\.key_variable=VLLM_API_KEY"),
        ("A_KEY", r"does not accept the key in A_KEY \(rollout\.generator\.key_variable\): export the"),
    ],
)
def test_errors_about_a_missing_or_wrong_key_do_not_contain_the_key(server, monkeypatch, variable, message):
    server[0].key = "secret"
    monkeypatch.setenv("A_KEY", "wrong")
    engine = ServedEngine(server[1], tokens=300, timeout=30.0, key_variable=variable)
    with pytest.raises(UserError, match=message) as error:
        engine.prepare_for(tiny_model())
    assert "wrong" not in str(error.value)
    assert "\n" not in str(error.value)
    engine.close()


def test_an_unset_key_variable_is_refused_before_the_first_request(monkeypatch):
    monkeypatch.delenv("A_KEY", raising=False)
    with pytest.raises(UserError, match=r"key_variable=A_KEY is not set .*: export the server's key in it"):
        ServedEngine("http://a", 300, 1.0, key_variable="A_KEY")


def test_the_key_is_not_sent_to_the_target_of_a_redirect(server, monkeypatch):
    monkeypatch.setenv("A_KEY", "secret")
    engine = ServedEngine(server[1], tokens=300, timeout=30.0, key_variable="A_KEY")
    with pytest.raises(EngineError, match="HTTP 307"):
        engine._call("moved", "move")
    assert server[0].keys == ["Bearer secret"]
    engine.close()
