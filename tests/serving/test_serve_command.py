"""The command with a model folder, two processes and OpenAI's client over a socket."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx2
import openai
import psutil
import pytest
import torch
from stand_ins import HELLO, LS_TOOL
from transformers import AutoModelForCausalLM

from envtune.serving.child import free_port
from envtune.serving.model_folder import Prompting, find_model

ROOT = Path(__file__).parents[2]
SERVE = [sys.executable, str(ROOT / "tools/serve.py")]
CLIENTS = 32


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*SERVE, "--port", str(free_port()), *arguments], capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def port() -> int:
    return free_port()


@pytest.fixture(scope="module")
def command(toy_folder: Path, port: int) -> Iterator[subprocess.Popen[str]]:
    limits = ("--max-completion-tokens", "24", "--max-running", "4", "--max-waiting", "12")
    arguments = [str(toy_folder), "--backend", "hf", "--tool-documents", "compact", "--port", str(port), *limits]
    environment = os.environ | {"ENVTUNE_API_KEY": "secret", "CUDA_VISIBLE_DEVICES": ""}
    process = subprocess.Popen(
        [*SERVE, *arguments, "--", "--device", "cpu"],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env=environment,
    )
    yield process
    process.terminate()
    process.communicate(timeout=60)


@pytest.fixture(scope="module")
def client(command: subprocess.Popen[str], port: int) -> openai.OpenAI:
    """A client of the command, once it is ready."""
    assert command.stdout is not None
    lines = [command.stdout.readline(), command.stdout.readline()]
    assert (
        "tool_documents=compact, instructions=long, max_observation_tokens=4096, max_completion_tokens=24" in lines[0]
    )
    assert lines[1] == f"envtune is served at http://127.0.0.1:{port}/v1\n"
    return openai.OpenAI(base_url=f"http://127.0.0.1:{port}/v1", api_key="secret", max_retries=0, timeout=200)


def test_equal_seeds_give_equal_replies(client: openai.OpenAI) -> None:
    assert [model.id for model in client.models.list()] == ["envtune"]
    asked: dict[str, Any] = {"model": "envtune", "messages": HELLO, "tools": [LS_TOOL], "seed": 5}
    first, second = (client.chat.completions.create(**asked) for _ in range(2))
    assert first.choices[0].message.content == second.choices[0].message.content
    assert 1 <= first.usage.completion_tokens <= 24  # type: ignore[union-attr]


def test_concurrent_clients_get_a_reply_or_a_full_queue(client: openai.OpenAI) -> None:
    def outcome(number: int) -> str:
        message: Any = {"role": "user", "content": f"I am {number}."}
        try:
            answer = client.chat.completions.create(
                model="envtune",
                messages=[message],
                temperature=0.5 * (number % 3),
                tools=[LS_TOOL],  # type: ignore[list-item]
            )
            return answer.object
        except openai.RateLimitError as error:
            return str(error.code)

    with ThreadPoolExecutor(CLIENTS) as pool:
        outcomes = list(pool.map(outcome, range(CLIENTS)))
    assert len(outcomes) == CLIENTS
    assert set(outcomes) <= {"chat.completion", "queue_full"}
    assert outcomes.count("chat.completion") >= 16
    assert outcome(0) == "chat.completion"


def test_malformed_and_huge_requests_get_an_error_object_and_the_server_continues(client: openai.OpenAI) -> None:
    url, headers = f"{client.base_url}chat/completions", {"authorization": "Bearer secret"}
    assert httpx2.post(url, json={}).status_code == 401
    for body, status in ((b"{", 400), (b"[" * 1_000_000, 400), (b" " * 12_000_000, 413)):
        response = httpx2.post(url, content=body, headers=headers | {"content-type": "application/json"}, timeout=200)
        assert response.status_code == status
        assert set(response.json()["error"]) == {"message", "type", "param", "code"}
    long: Any = [{"role": "system", "content": "word " * 40_000}, *HELLO]
    with pytest.raises(openai.BadRequestError) as error:
        client.chat.completions.create(model="envtune", messages=long, timeout=200)
    assert error.value.code == "context_length_exceeded"
    client.chat.completions.create(model="envtune", messages=HELLO)  # type: ignore[arg-type]


def test_the_end_of_the_completion_server_ends_the_command(
    client: openai.OpenAI, command: subprocess.Popen[str]
) -> None:
    (child,) = psutil.Process(command.pid).children()
    child.kill()
    assert command.wait(100) == 1
    assert command.stdout is not None
    assert command.stdout.read().endswith("serve: the completion server has ended: see its output above\n")


def test_a_signal_before_readiness_ends_both_processes(toy_folder: Path) -> None:
    arguments = [str(toy_folder), "--backend", "hf", "--port", str(free_port())]
    process = subprocess.Popen([*SERVE, *arguments], stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    while not (children := psutil.Process(process.pid).children()):
        assert process.poll() is None
        time.sleep(0.1)
    process.send_signal(signal.SIGTERM)
    assert process.wait(100) == 0
    assert not any(child.is_running() for child in children)


def test_an_occupied_port_is_refused_before_the_model_starts(toy_folder: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        ended = run(str(toy_folder), "--backend", "hf", "--port", str(port))
    assert ended.returncode == 1
    assert ended.stderr.startswith(f"serve: cannot listen at 127.0.0.1, port {port} (")
    assert ended.stderr.endswith("choose another --port or --host\n")
    assert ended.stderr.count("\n") == 1


def test_early_requests_wait_for_the_model(toy_folder: Path) -> None:
    port = free_port()
    process = subprocess.Popen([*SERVE, str(toy_folder), "--backend", "hf", "--port", str(port)])
    try:
        while not psutil.Process(process.pid).children():
            assert process.poll() is None
            time.sleep(0.1)
        client = openai.OpenAI(base_url=f"http://127.0.0.1:{port}/v1", api_key="any", max_retries=0, timeout=200)
        assert [model.id for model in client.models.list()] == ["envtune"]
    finally:
        process.terminate()
    assert process.wait(100) == 0


def test_an_empty_key_is_refused(toy_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # Every client would pass the check for an empty key.
    monkeypatch.setenv("ENVTUNE_API_KEY", "")
    ended = run(str(toy_folder), "--backend", "hf")
    assert ended.returncode == 1
    assert ended.stderr.startswith("serve: ENVTUNE_API_KEY holds 0 characters that cannot be a key: set it to letters")


def test_a_folder_without_a_model_or_checkpoint_is_refused(tmp_path: Path) -> None:
    ended = run(str(tmp_path))
    assert ended.returncode == 1
    assert ended.stderr.startswith("serve: ")
    assert "holds no checkpoints/best.ckpt" in ended.stderr


def test_unreadable_weights_are_reported_by_the_completion_server(tmp_path: Path, toy_folder: Path) -> None:
    for file in toy_folder.iterdir():
        (tmp_path / file.name).write_bytes(b"" if file.suffix == ".safetensors" else file.read_bytes())
    ended = run(str(tmp_path), "--backend", "hf")
    assert ended.returncode == 1
    assert "completion_server: the weights in" in ended.stderr
    assert ended.stderr.endswith("the completion server ended at its start (status 1); its output is above\n")


def test_an_absent_upstream_is_refused(toy_folder: Path) -> None:
    ended = run(str(toy_folder), "--upstream", f"http://127.0.0.1:{free_port()}")
    assert ended.returncode == 1
    assert "is not a usable completion server (ConnectError" in ended.stderr


@pytest.mark.parametrize("tool", ["serve", "completion_server"])
def test_a_missing_extra_is_named(tool: str) -> None:
    lacking = f"import sys; sys.modules['uvicorn'] = None; import tools.{tool}"
    ended = subprocess.run([sys.executable, "-c", lacking], cwd=ROOT, capture_output=True, text=True, check=False)
    assert ended.returncode == 1
    assert ended.stderr == f"{tool}: uvicorn not installed: pip install -e '.[serve]'\n"


def test_a_run_is_served_with_its_prompt_settings(tmp_path: Path, toy_folder: Path) -> None:
    run_folder = tmp_path / "run"
    (run_folder / "checkpoints").mkdir(parents=True)
    model = AutoModelForCausalLM.from_pretrained(toy_folder)
    state = {f"policy.model.{name}": value + 1 for name, value in model.state_dict().items()}
    torch.save({"state_dict": state, "global_step": 2}, run_folder / "checkpoints/best.ckpt")
    settings: dict[str, Any] = {
        "model": {"path": str(toy_folder)},
        "prompt": {"tool_documents": "compact", "instructions": "short"},
        "rollout": {"max_completion_tokens": 160, "template": {"max_observation_tokens": None}},
    }
    (run_folder / "run.json").write_text(json.dumps({"settings": settings}))
    served = find_model(str(run_folder), {"max_completion_tokens": 99}, tmp_path / "staged", None, "auto", False)
    assert served.prompting == Prompting("compact", "short", None, 99)
    assert (served.window, served.end_ids) == (32768, frozenset({1}))
    exported = AutoModelForCausalLM.from_pretrained(served.folder)
    torch.testing.assert_close(exported.lm_head.weight, model.lm_head.weight + 1)
