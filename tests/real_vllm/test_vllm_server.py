"""`rollout=vllm_server`: the engine of a server that the user starts."""

from __future__ import annotations

import json
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator

import pytest
import torch
from server import end, serving
from small_engine import ENGINE, TEMPERATURE, small_model, take_a_small_step
from talk import LONG, Talk
from transformers import PreTrainedModel, Qwen2Config

from envtune.errors import UserError
from envtune.rollout.generator import Completion, Request
from envtune.rollout.vllm.engine import EngineError
from envtune.rollout.vllm.placement import on_server
from envtune.rollout.vllm.served_engine import ServedEngine
from envtune.rollout.vllm.vllm_generator import VLLMGenerator

OPTIONS = ("--max-model-len=1024", "--dtype=float32", "--enforce-eager", "--block-size=32")
KEY_VARIABLE, KEY = "VLLM_API_KEY", "secret"
CACHE = f"--kv-cache-memory-bytes={ENGINE['kv_cache_memory_bytes']}"


@pytest.fixture(scope="module", autouse=True)
def key() -> Iterator[None]:
    """The key that servers require and trainers send."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(KEY_VARIABLE, KEY)
        yield


@pytest.fixture(scope="module")
def model() -> PreTrainedModel:
    return small_model(tied=True)


@pytest.fixture(scope="module")
def server(
    model: PreTrainedModel, key: None, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[str, subprocess.Popen[bytes]]]:
    folder = tmp_path_factory.mktemp("served")
    # Another seed: completions must come from the pushed weights.
    small_model(tied=True, seed=100).save_pretrained(folder / "model")
    command = (sys.executable, "tools/serve_rollouts.py", str(folder / "model"), *OPTIONS, CACHE)
    with serving(command, folder / "log") as served:
        yield served


@pytest.fixture
def generator(server: tuple[str, subprocess.Popen[bytes]]) -> Iterator[VLLMGenerator]:
    generator = generator_on(server[0])
    yield generator
    generator.engine.close()


def generator_on(url: str, max_response_tokens: int = 512, timeout: float = 900.0) -> VLLMGenerator:
    return on_server(url, 512, max_response_tokens, temperature=TEMPERATURE, timeout=timeout, key_variable=KEY_VARIABLE)


def status_of(method: str, url: str, key: str | None) -> tuple[int, bytes]:
    headers = {} if key is None else {"Authorization": f"Bearer {key}"}
    try:
        with urllib.request.urlopen(urllib.request.Request(url, method=method, headers=headers), timeout=60) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as error:
        return error.code, b""


def test_only_health_responds_without_the_key(server):
    paths = json.loads(status_of("GET", f"{server[0]}/openapi.json", KEY)[1])["paths"]
    routes = [(method.upper(), path) for path, methods in paths.items() for method in methods]
    assert {("POST", "/collective_rpc"), ("POST", "/reset_prefix_cache"), ("POST", "/inference/v1/generate")} <= {
        *routes
    }
    open_paths = {path for method, path in routes if status_of(method, server[0] + path, "wrong")[0] != 401}
    assert open_paths == {"/health"}
    assert {status_of("GET", server[0] + path, None)[0] for path in ("/metrics", "/docs", "/openapi.json")} == {401}


def test_log_probs_are_the_trainers_after_every_push(model, generator):
    for version in range(2):
        model.load_state_dict(small_model(tied=True, seed=version).state_dict())
        generator.update_weights(model, version)
        assert Talk().play(generator).largest_difference(model) < 1e-4
        assert generator.policy_version == version


def test_a_step_computes_its_new_tokens_and_a_partial_block(model, generator):
    generator.update_weights(model, 2)
    before = generator.fed_tokens
    requests = [Request(LONG, 0, 12)]

    def advance(number: int, completion: Completion) -> Request | None:
        requests.append(Request(requests[-1].ids + completion.ids + (50, 51, 52), 1, 12))
        return requests[1] if len(requests) == 2 else None

    generator.run(requests[:1], advance)
    assert generator.fed_tokens - before == (140 + 11) + (155 - 128 + 11)


def test_a_lost_push_of_a_small_step_is_detected(model, generator, monkeypatch):
    generator.update_weights(model, 3)
    take_a_small_step(model)
    with monkeypatch.context() as patch:
        patch.setattr(ServedEngine, "load", lambda engine, folder, dtype: None)
        with pytest.raises(EngineError, match="does not have the trainer's weights of policy version 4"):
            generator.update_weights(model, 4)
    generator.update_weights(model, 4)


def test_completions_of_another_trainers_weights_are_refused(model, generator, server):
    generator.update_weights(model, 5)
    other = generator_on(server[0])
    other.update_weights(small_model(tied=True, seed=7), 0)
    other.engine.close()
    with pytest.raises(EngineError, match="sampled with weights that this run did not push last"):
        Talk().play(generator)


def test_a_server_of_another_model_or_with_too_little_room_is_refused(model, generator, server):
    config = Qwen2Config(**{**model.config.to_dict(), "vocab_size": 416})
    with pytest.raises(UserError, match="has a model with vocab_size=400, and the trainer's has 416: start it with"):
        generator.update_weights(type(model)(config), 6)
    roomy = generator_on(server[0], max_response_tokens=600)
    with pytest.raises(UserError, match="has room for 1024 tokens, and the longest episode has 1112: start it with"):
        roomy.update_weights(model, 6)
    roomy.engine.close()


@pytest.mark.timeout(3000)
def test_a_run_trains_on_what_the_server_samples(tmp_path_factory):
    """With the served tiny model; two updates, as rollout=vllm makes them in test_vllm_training.py."""
    from test_vllm_training import TINY, train, updates_of, weights_after

    folder = tmp_path_factory.mktemp("run")
    command = (sys.executable, "tools/serve_rollouts.py", str(TINY.parent), *OPTIONS[1:], CACHE, "--max-model-len=4096")
    with serving(command, folder / "log") as (url, _):
        given = (f"rollout.generator.url={url}", f"rollout.generator.key_variable={KEY_VARIABLE}")
        result = train(folder / "run", "rollout=vllm_server", *given)
    assert result.returncode == 0, result.stdout[-3000:] + result.stderr[-3000:]
    updates = updates_of(folder / "run")
    assert [row["step"] for row in updates] == ["1", "2"]
    assert all(float(row["sampling/logp_diff_max"]) < 1e-3 and float(row["time/sync"]) > 0 for row in updates)
    assert all(torch.isfinite(tensor).all() for tensor in weights_after(folder / "run").values())
    assert "Traceback" not in result.stderr
    assert "was destroyed" not in result.stderr


def test_a_killed_server_ends_the_rollout_and_fails_later_calls(model, generator, server):
    """The last test of this server."""
    generator.update_weights(model, 7)

    def kill(number: int, completion: Completion) -> Request:
        end(server[1])
        return Request((1, 2, 3), 0, 1)

    with pytest.raises(EngineError, match=r"vLLM at http://\S+ has ended and could not complete a prompt"):
        generator.run([Request((1, 2, 3), 9, 1), Request((1, 2, 3), 0, 300)], kill)
    with pytest.raises(EngineError, match=r"vLLM at http://\S+ has ended and could not describe its model"):
        generator.update_weights(model, 8)
