from __future__ import annotations

import importlib.util
import sys
from argparse import Namespace
from pathlib import Path

import pytest
from ended_command import status

from envtune.rollout.vllm.guard import GUARD
from tools import serve_rollouts

TINY = Path(__file__).parents[2] / "envtune/models/tiny"


def outcome(monkeypatch, capsys, *words: str, key: str | None = None, has_vllm: bool = True) -> str:
    """What the command says before it starts vLLM, which is not here; nothing if it would start it."""
    started = []
    monkeypatch.setattr(sys, "argv", ["serve_rollouts", str(TINY), *words])
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: has_vllm or None)
    monkeypatch.setattr(serve_rollouts, "start", lambda given, further: started.append(given))
    monkeypatch.delenv("VLLM_API_KEY", raising=False)
    if key is not None:
        monkeypatch.setenv("VLLM_API_KEY", key)
    assert status(serve_rollouts.main) == (0 if started else 1)
    return capsys.readouterr().err


def test_without_vllm_it_says_what_to_install(monkeypatch, capsys, tmp_path):
    monkeypatch.chdir(tmp_path)
    said = outcome(monkeypatch, capsys, has_vllm=False)
    assert said.startswith(
        f"serve_rollouts: the server needs the package vllm, which {sys.executable} lacks: `make vllm`"
    )
    assert said.count("\n") == 1


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "10.0.0.1", "somewhere"])
def test_other_machines_can_reach_it_only_with_a_key(monkeypatch, capsys, host):
    said = outcome(monkeypatch, capsys, f"--host={host}")
    assert said.startswith(f"serve_rollouts: --host {host} is open to other machines")
    assert said.count("\n") == 1
    assert outcome(monkeypatch, capsys, "--host", host, key="key") == ""


@pytest.mark.parametrize("host", ["127.0.0.1", "::1", "localhost"])
def test_on_this_machine_it_listens_without_a_key(monkeypatch, capsys, host):
    assert outcome(monkeypatch, capsys) == ""
    assert outcome(monkeypatch, capsys, "--host", host) == ""


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--api-key", "secret"), "--api-key is not allowed: every user of this machine can read it"),
        (("--api-key=secret",), "--api-key is not allowed"),
        (("--grpc",), "--grpc is not allowed: that server does not check a key"),
        (("--grpc_port=1",), "--grpc is not allowed"),
    ],
)
def test_what_goes_round_the_key_is_refused(monkeypatch, capsys, words, message):
    said = outcome(monkeypatch, capsys, *words, key="key")
    assert message in said
    assert "secret" not in said


def test_an_empty_key_is_not_taken_for_one(monkeypatch, capsys):
    assert "VLLM_API_KEY holds 0 characters that cannot be a key" in outcome(monkeypatch, capsys, key="")


def test_the_guard_is_loaded_and_no_further_option_changes_where_it_listens():
    given = Namespace(model="folder", max_model_len=3000, host="127.0.0.1")
    words = serve_rollouts.serve_arguments(given, cpu=True, further=["--dtype=float32", "--hos=0.0.0.0"])
    assert words[:5] == ["serve", "folder", "--max-model-len=3000", "--middleware", GUARD]
    assert words[-3:] == ["--dtype=float32", "--hos=0.0.0.0", "--host=127.0.0.1"]


def test_prompts_are_fed_whole_on_a_cpu():
    given = Namespace(model="folder", max_model_len=3000, host="127.0.0.1")
    whole = ["--no-enable-chunked-prefill", "--max-num-batched-tokens=3000"]
    assert [word for word in whole if word in serve_rollouts.serve_arguments(given, True, [])] == whole
    assert [word for word in whole if word in serve_rollouts.serve_arguments(given, False, [])] == []
