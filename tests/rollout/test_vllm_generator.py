"""Parts of the vLLM generator that run without vLLM; tests/real_vllm has the rest."""

from __future__ import annotations

import asyncio
import importlib.util
import math
import re
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from test_hf_generator import tiny_model

from envtune.errors import UserError
from envtune.processes import collectives
from envtune.rollout.generator import BrokenPolicy, Request
from envtune.rollout.vllm import own_engine, vllm_generator
from envtune.rollout.vllm.engine import EngineCompletion, EngineError
from envtune.rollout.vllm.own_engine import OwnEngine
from envtune.rollout.vllm.placement import colocated
from envtune.rollout.vllm.vllm_generator import VLLMGenerator
from envtune.rollout.weight_sums import weight_sum

BUDGETS = {"max_prompt_tokens": 100, "max_response_tokens": 200}
PUSH = ["wake_up", "load", "reset_cache", "weight_sums", "set_weight_version", "be probed", "sleep"]


class RecordingEngine:
    """Records its calls and loads pushed weights. Samples token 1 with log-prob 0."""

    is_shared = False

    def __init__(self, dtype: torch.dtype = torch.float32) -> None:
        self.calls: list[str] = []
        self.weights: dict[str, torch.Tensor] = {}
        self.weight_versions: frozenset[str] = frozenset()
        self._dtype = dtype

    def prepare_for(self, model: Any) -> torch.dtype:
        return self._dtype

    def load(self, folder: Path, dtype: torch.dtype) -> None:
        self.calls.append("load")
        self.weights = load_file(folder / "model.safetensors")

    def reset_cache(self) -> None:
        self.calls.append("reset_cache")

    def weight_sums(self) -> list[dict[str, int]]:
        self.calls.append("weight_sums")
        return [{name: weight_sum(tensor, self._dtype) for name, tensor in self.weights.items()}]

    def set_weight_version(self, version: str) -> None:
        self.calls.append("set_weight_version")
        self.weight_versions = frozenset({version})

    def sleep(self) -> None:
        self.calls.append("sleep")

    def wake_up(self) -> None:
        self.calls.append("wake_up")

    async def complete(self, ids: tuple[int, ...], parameters: Mapping[str, Any]) -> EngineCompletion:
        count = parameters["max_tokens"]
        return EngineCompletion((1,) * count, (0.0,) * count, "length", 0, self.weight_versions)

    def run(self, coroutine: Any, purpose: str) -> Any:
        self.calls.append(purpose)
        return asyncio.run(coroutine)

    def close(self) -> None:
        pass


@pytest.fixture
def differences(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Differences of the probe's log-probs, push by push."""
    differences: list[float] = []
    monkeypatch.setattr(vllm_generator, "probe_difference", lambda *_: differences.pop(0))
    return differences


def test_a_missing_vllm_is_refused_with_the_python_that_has_it_or_the_command_that_installs_one(monkeypatch, tmp_path):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    monkeypatch.chdir(tmp_path)
    lacks = f"rollout=vllm needs the package vllm, which {sys.executable} lacks: "
    otherwise = ", or sample with rollout=vllm_server or rollout=hf"
    made = "`make vllm` installs it for .venv-vllm-gpu/bin/python, with which to run the command"
    with pytest.raises(UserError, match=re.escape(lacks + made + otherwise)):
        colocated(**BUDGETS)
    (tmp_path / ".venv-vllm-gpu/bin").mkdir(parents=True)
    (tmp_path / ".venv-vllm-gpu/bin/python").touch()
    there = "run the command with .venv-vllm-gpu/bin/python, which has it"
    with pytest.raises(UserError, match=re.escape(lacks + there + otherwise)):
        colocated(**BUDGETS)


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ({"temperature": 0.0}, r"temperature=0\.0 must be a number above 0"),
        ({"dtype": "int8"}, "dtype='int8' must be one of auto, float32"),
        ({"timeout": 0}, "timeout=0 must be a number above 0: the time limit for a response of vLLM"),
        ({"transfer_folder": "no/such"}, "transfer_folder=no/such is not a folder"),
    ],
)
def test_values_out_of_range_are_named(monkeypatch, setting, message):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: name)
    with pytest.raises(UserError, match=message):
        colocated(**BUDGETS, **setting)


def test_every_push_empties_the_cache_and_is_verified_twice(differences):
    differences += [0.0, 0.0]
    engine = RecordingEngine()
    generator = VLLMGenerator(engine)
    for version in (0, 1):
        generator.update_weights(tiny_model(), version)
    assert engine.calls == PUSH * 2
    assert generator.policy_version == 1


def test_the_engine_sleeps_except_during_rollouts_and_pushes(differences):
    differences += [0.0, 0.0]
    engine = RecordingEngine()
    generator = VLLMGenerator(engine)
    generator.update_weights(tiny_model(), 0)
    generator.run([Request((1,), 0, 1)], lambda *_: None)
    generator.update_weights(tiny_model(), 1)
    assert engine.calls == [*PUSH, "wake_up", "sample", "sleep", *PUSH]


def test_a_push_with_one_different_bit_fails(differences, monkeypatch):
    engine, model = RecordingEngine(), tiny_model()
    load = engine.load

    def load_and_flip_a_bit(folder: Path, dtype: torch.dtype) -> None:
        load(folder, dtype)
        weight = engine.weights["model.layers.1.mlp.down_proj.weight"]
        weight[0, 0] = torch.nextafter(weight[0, 0], torch.tensor(2.0))

    monkeypatch.setattr(engine, "load", load_and_flip_a_bit)
    generator = VLLMGenerator(engine)
    with pytest.raises(EngineError, match="trainer's weights of policy version 3: they differ in layer 1;"):
        generator.update_weights(model, 3)
    with pytest.raises(RuntimeError, match="no verified weights; call update_weights first"):
        generator.run([Request((1,), 0, 1)], lambda *_: None)


@pytest.mark.parametrize("difference", [2e-3, float("nan")])
def test_a_push_with_different_log_probs_fails(differences, difference):
    differences += [1e-4, difference]
    generator = VLLMGenerator(RecordingEngine())
    generator.update_weights(tiny_model(), 4)
    with pytest.raises(EngineError, match=r"policy version 5: .* nats on average, 0.001 is allowed"):
        generator.update_weights(tiny_model(), 5)
    with pytest.raises(RuntimeError, match="no verified weights; call update_weights first"):
        generator.run([Request((1,), 0, 1)], lambda *_: None)


def test_the_tolerance_defaults_to_that_of_the_dtype(differences):
    differences += [0.1, 0.1]
    VLLMGenerator(RecordingEngine(torch.bfloat16)).update_weights(tiny_model(), 0)
    with pytest.raises(EngineError, match=r"0.01 is allowed \(bfloat16"):
        VLLMGenerator(RecordingEngine(torch.bfloat16), probe_tolerance=0.01).update_weights(tiny_model(), 0)


def test_completions_of_a_restarted_engine_are_refused(differences):
    differences += [0.0]
    engine = RecordingEngine()
    generator = VLLMGenerator(engine)
    generator.update_weights(tiny_model(), 0)
    engine.weight_versions = frozenset({"default"})
    with pytest.raises(EngineError, match="sampled with weights that this run did not push last"):
        generator.run([Request((1,), 0, 1)], lambda *_: None)


@pytest.mark.parametrize("logprob", [math.nan, math.inf, -math.inf, None])
def test_non_finite_log_probs_raise_an_error_with_the_policy_version(differences, monkeypatch, logprob):
    engine = RecordingEngine()
    generator = VLLMGenerator(engine)
    differences.append(0.0)
    generator.update_weights(tiny_model(), 3)

    async def broken(ids: Any, parameters: Any) -> EngineCompletion:
        return EngineCompletion((1, 1), (0.0, logprob), "length", 0, engine.weight_versions)

    monkeypatch.setattr(engine, "complete", broken)
    with pytest.raises(BrokenPolicy, match=r"^the policy after update 3 gives logits "):
        generator.run([Request((1,), 0, 2)], lambda *_: None)
    with pytest.raises(BrokenPolicy, match=r"^the policy after update 4 gives logits "):
        generator.update_weights(tiny_model(), 4)


def test_the_context_length_is_that_of_the_longest_episode(monkeypatch, tmp_path):
    started: list[Mapping[str, Any]] = []

    async def start(folder: Path, arguments: Mapping[str, Any], sleep: bool | None, device: torch.device) -> None:
        started.append(arguments)

    monkeypatch.setattr(importlib.util, "find_spec", lambda name: name)
    monkeypatch.setattr(own_engine, "_start", start)
    monkeypatch.setattr(OwnEngine, "run", lambda engine, coroutine, purpose, timeout: asyncio.run(coroutine))
    engine = colocated(**BUDGETS, engine={"block_size": 64}).engine
    engine.load(tmp_path, torch.float32)
    assert isinstance(engine, OwnEngine)
    engine.close()
    assert [(s["max_model_len"], s["block_size"], s["dtype"]) for s in started] == [(300, 64, "float32")]


def test_sampling_without_weights_is_refused():
    with pytest.raises(RuntimeError, match="call update_weights first"):
        VLLMGenerator(RecordingEngine()).run([Request((1,), 0, 1)], lambda *_: None)


@pytest.mark.parametrize(
    ("rank", "shared", "calls"),
    [(0, True, PUSH), (1, True, ["be probed", "sleep"]), (1, False, PUSH)],
    ids=["first rank of a shared engine", "other rank of a shared engine", "rank with its own engine"],
)
def test_one_rank_pushes_to_a_shared_engine_and_all_ranks_probe_it(differences, monkeypatch, rank, shared, calls):
    """Calls of one of two ranks, with equal results on the other."""
    differences += [0.0]
    engine, folders = RecordingEngine(), []
    engine.is_shared = shared
    monkeypatch.setattr(vllm_generator, "current_rank", lambda: rank)
    monkeypatch.setattr(vllm_generator, "first_rank_on_this_host", lambda: rank)
    monkeypatch.setattr(vllm_generator, "on_all_ranks", lambda step: [step()] * 2)
    generator = VLLMGenerator(engine)
    monkeypatch.setattr(
        engine, "complete", lambda _, wanted: _sampled_by(generator._weight_version, wanted["max_tokens"])
    )
    write = vllm_generator.write_merged_weights
    monkeypatch.setattr(
        vllm_generator, "write_merged_weights", lambda *given: folders.append(given[2]) or write(*given)
    )
    generator.update_weights(tiny_model(), 0)
    assert engine.calls == calls
    assert [folder is not None for folder in folders] == [calls == PUSH]


async def _sampled_by(version: str, count: int) -> EngineCompletion:
    return EngineCompletion((1,) * count, (0.0,) * count, "length", 0, frozenset({version}))


def test_an_error_on_one_rank_is_raised_on_all(monkeypatch):
    def gather(results: list[Any], own: Any) -> None:
        results[:] = [own, (None, "vLLM has ended")]

    monkeypatch.setattr(collectives, "_is_grouped", lambda: True)
    monkeypatch.setattr(torch.distributed, "get_world_size", lambda: 2)
    monkeypatch.setattr(torch.distributed, "all_gather_object", gather)
    with pytest.raises(ConnectionError, match="training process 1 has ended: vLLM has ended"):
        collectives.on_all_ranks(lambda: 5)
    with pytest.raises(ZeroDivisionError):
        collectives.on_all_ranks(lambda: 1 // 0)
