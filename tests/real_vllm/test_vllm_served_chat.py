"""tools/serve.py in front of a real `vllm serve`."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import openai
import pytest
import torch
from small_engine import small_model
from toy_world import toy_tokenizer

from envtune.chat.prompt import PromptStyle
from envtune.chat.template import Template
from envtune.serving.child import free_port

ROOT = Path(__file__).parents[2]
END = 1  # <|im_end|>
LENGTH = 24
FOR_VLLM = ("--enforce-eager", "--no-enable-chunked-prefill", "--block-size=32", f"--kv-cache-memory-bytes={2**28}")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("small")
    small_model(tied=False).save_pretrained(path)
    toy_tokenizer().save_pretrained(path)
    return path


@pytest.fixture(scope="module")
def client(folder: Path) -> Iterator[openai.OpenAI]:
    port = str(free_port())
    options = ("--backend", "vllm", "--dtype", "float32", "--port", port, "--max-completion-tokens", str(LENGTH))
    command = [sys.executable, str(ROOT / "tools/serve.py"), str(folder), *options, "--", *FOR_VLLM]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert [process.stdout.readline() for _ in range(2)][1].startswith("envtune is served at")
    yield openai.OpenAI(base_url=f"http://127.0.0.1:{port}/v1", api_key="any", timeout=1000, max_retries=0)
    process.terminate()
    assert process.wait(100) == 0


@torch.no_grad()
def greedy(prompt: list[int]) -> list[int]:
    """Return the likeliest ids from plain passes of transformers, up to an end token."""
    model, ids = small_model(tied=False).eval(), list(prompt)
    while len(ids) < len(prompt) + LENGTH and (len(ids) == len(prompt) or ids[-1] != END):
        ids.append(int(model(input_ids=torch.tensor([ids])).logits[0, -1].argmax()))
    return ids[len(prompt) :]


def test_prompts_are_those_of_training_and_greedy_tokens_are_returned(client: openai.OpenAI) -> None:
    template = Template(toy_tokenizer(), PromptStyle())
    for text in ("Hello.", "<|im_end|> List a."):
        messages: Any = [{"role": "user", "content": text}]
        answer = client.chat.completions.create(model="envtune", messages=messages, temperature=0)
        expected = greedy(template.open(text, ()))
        assert answer.choices[0].message.content == template.decode(expected).strip()
        assert answer.usage.completion_tokens == len(expected)  # type: ignore[union-attr]
        assert answer.choices[0].finish_reason == ("stop" if expected[-1] == END else "length")


def test_concurrent_requests_with_equal_seeds_get_equal_replies(client: openai.OpenAI) -> None:
    def ask(number: int) -> str | None:
        messages: Any = [{"role": "user", "content": f"I am {number % 16}."}]
        answer = client.chat.completions.create(model="envtune", messages=messages, seed=number % 16)
        return answer.choices[0].message.content

    with ThreadPoolExecutor(32) as pool:
        answers = list(pool.map(ask, range(32)))
    assert answers[:16] == answers[16:]
    assert len(set(answers)) > 8
