from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2] / "tools"))

import serve_rollouts


def test_without_vllm_it_says_what_to_install(monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["serve_rollouts", "model"])
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    assert serve_rollouts.main() == 1
    assert capsys.readouterr().err == "serve_rollouts: this needs the package vllm: pip install -e '.[vllm]'\n"


def test_further_options_stand_behind_its_own_and_prompts_are_fed_whole_on_a_cpu():
    words = serve_rollouts.serve_arguments("folder", 3000, cpu=True, further=["--host=0.0.0.0"])
    assert words[:4] == ["serve", "folder", "--host=127.0.0.1", "--max-model-len=3000"]
    assert words[-3:] == ["--no-enable-chunked-prefill", "--max-num-batched-tokens=3000", "--host=0.0.0.0"]
    assert "--no-enable-chunked-prefill" not in serve_rollouts.serve_arguments("folder", 3000, cpu=False, further=[])
