"""What of sampling with vLLM needs no vLLM; tests/real_vllm has the rest."""

from __future__ import annotations

import asyncio
import importlib.util
import math
import re
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
PUSH = ["wake", "load", "forget", "weight_sums", "stamp", "be probed", "rest"]


class ToldEngine:
    """Writes down what it is told, and holds the weights that it read. It samples token 1 with log-prob 0."""

    is_shared = False

    def __init__(self, dtype: torch.dtype = torch.float32) -> None:
        self.told: list[str] = []
        self.weights: dict[str, torch.Tensor] = {}
        self.stamps: frozenset[str] = frozenset()
        self._dtype = dtype

    def prepare_for(self, model: Any) -> torch.dtype:
        return self._dtype

    def load(self, folder: Path, dtype: torch.dtype) -> None:
        self.told.append("load")
        self.weights = load_file(folder / "model.safetensors")

    def forget(self) -> None:
        self.told.append("forget")

    def weight_sums(self) -> list[dict[str, int]]:
        self.told.append("weight_sums")
        return [{name: weight_sum(tensor, self._dtype) for name, tensor in self.weights.items()}]

    def stamp(self, weights: str) -> None:
        self.told.append("stamp")
        self.stamps = frozenset({weights})

    def rest(self) -> None:
        self.told.append("rest")

    def wake(self) -> None:
        self.told.append("wake")

    async def complete(self, ids: tuple[int, ...], parameters: Mapping[str, Any]) -> EngineCompletion:
        count = parameters["max_tokens"]
        return EngineCompletion((1,) * count, (0.0,) * count, "length", 0, self.stamps)

    def run(self, coroutine: Any, purpose: str) -> Any:
        self.told.append(purpose)
        return asyncio.run(coroutine)

    def close(self) -> None:
        pass


@pytest.fixture
def differences(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """What the log-probs of the probes differ by, push by push."""
    differences: list[float] = []
    monkeypatch.setattr(vllm_generator, "probe_difference", lambda *_: differences.pop(0))
    return differences


def test_without_vllm_the_generator_says_what_to_install(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(UserError, match=re.escape("needs the package vllm: pip install -e '.[vllm]', or sample with")):
        colocated(**BUDGETS)


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ({"temperature": 0.0}, r"temperature=0\.0 must be a number above 0"),
        ({"dtype": "int8"}, "dtype='int8' must be one of auto, float32"),
        ({"timeout": 0}, "timeout=0 must be a number above 0: the seconds that vLLM may take"),
        ({"transfer_folder": "no/such"}, "transfer_folder=no/such is no folder"),
    ],
)
def test_values_out_of_range_are_named(monkeypatch, setting, message):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: name)
    with pytest.raises(UserError, match=message):
        colocated(**BUDGETS, **setting)


def test_every_push_empties_the_cache_and_is_checked_twice(differences):
    differences += [0.0, 0.0]
    engine = ToldEngine()
    generator = VLLMGenerator(engine)
    for version in (0, 1):
        generator.update_weights(tiny_model(), version)
    assert engine.told == PUSH * 2
    assert generator.policy_version == 1


def test_the_engine_is_awake_for_rollouts_and_pushes_and_rests_whenever_the_trainer_works(differences):
    differences += [0.0, 0.0]
    engine = ToldEngine()
    generator = VLLMGenerator(engine)
    generator.update_weights(tiny_model(), 0)
    generator.run([Request((1,), 0, 1)], lambda *_: None)
    generator.update_weights(tiny_model(), 1)
    assert engine.told == [*PUSH, "wake", "sample", "rest", *PUSH]


def test_a_push_of_which_one_weight_is_another_is_no_push(differences, monkeypatch):
    engine, model = ToldEngine(), tiny_model()
    hold = engine.load

    def load_and_lose_a_bit(folder: Path, dtype: torch.dtype) -> None:
        hold(folder, dtype)
        weight = engine.weights["model.layers.1.mlp.down_proj.weight"]
        weight[0, 0] = torch.nextafter(weight[0, 0], torch.tensor(2.0))

    monkeypatch.setattr(engine, "load", load_and_lose_a_bit)
    generator = VLLMGenerator(engine)
    with pytest.raises(EngineError, match="trainer's weights of policy version 3: they differ in layer 1;"):
        generator.update_weights(model, 3)
    with pytest.raises(RuntimeError, match="no weights that it knows; call update_weights first"):
        generator.run([Request((1,), 0, 1)], lambda *_: None)


@pytest.mark.parametrize("difference", [2e-3, float("nan")])
def test_a_push_that_changed_the_log_probs_is_no_push(differences, difference):
    differences += [1e-4, difference]
    generator = VLLMGenerator(ToldEngine())
    generator.update_weights(tiny_model(), 4)
    with pytest.raises(EngineError, match=r"policy version 5: .* nats on average, 0.001 is allowed"):
        generator.update_weights(tiny_model(), 5)
    with pytest.raises(RuntimeError, match="no weights that it knows; call update_weights first"):
        generator.run([Request((1,), 0, 1)], lambda *_: None)


def test_the_tolerance_is_the_dtypes_unless_it_is_given(differences):
    differences += [0.1, 0.1]
    VLLMGenerator(ToldEngine(torch.bfloat16)).update_weights(tiny_model(), 0)
    with pytest.raises(EngineError, match=r"0.01 is allowed \(bfloat16"):
        VLLMGenerator(ToldEngine(torch.bfloat16), probe_tolerance=0.01).update_weights(tiny_model(), 0)


def test_completions_of_an_engine_that_was_started_again_are_refused(differences):
    differences += [0.0]
    engine = ToldEngine()
    generator = VLLMGenerator(engine)
    generator.update_weights(tiny_model(), 0)
    engine.stamps = frozenset({"default"})
    with pytest.raises(EngineError, match="sampled with weights that this run did not push last"):
        generator.run([Request((1,), 0, 1)], lambda *_: None)


@pytest.mark.parametrize("logprob", [math.nan, math.inf, -math.inf, None])
def test_log_probs_of_an_engine_that_are_no_numbers_are_told_with_the_update(differences, monkeypatch, logprob):
    engine = ToldEngine()
    generator = VLLMGenerator(engine)
    differences.append(0.0)
    generator.update_weights(tiny_model(), 3)

    async def broken(ids: Any, parameters: Any) -> EngineCompletion:
        return EngineCompletion((1, 1), (0.0, logprob), "length", 0, engine.stamps)

    monkeypatch.setattr(engine, "complete", broken)
    with pytest.raises(BrokenPolicy, match=r"^the policy after update 3 gives logits "):
        generator.run([Request((1,), 0, 2)], lambda *_: None)
    with pytest.raises(BrokenPolicy, match=r"^the policy after update 4 gives logits "):
        generator.update_weights(tiny_model(), 4)


def test_the_engine_has_room_for_the_longest_episode(monkeypatch, tmp_path):
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
        VLLMGenerator(ToldEngine()).run([Request((1,), 0, 1)], lambda *_: None)


@pytest.mark.parametrize(
    ("number", "shared", "told"),
    [(0, True, PUSH), (1, True, ["be probed", "rest"]), (1, False, PUSH)],
    ids=["the first of a server's", "another of a server's", "one with an engine of its own"],
)
def test_of_several_processes_one_pushes_to_a_shared_engine_and_all_probe_it(
    differences, monkeypatch, number, shared, told
):
    """What this process of two does, the other's answers being the same."""
    differences += [0.0]
    engine, folders = ToldEngine(), []
    engine.is_shared = shared
    monkeypatch.setattr(vllm_generator, "current_rank", lambda: number)
    monkeypatch.setattr(vllm_generator, "first_rank_on_this_host", lambda: number)
    monkeypatch.setattr(vllm_generator, "on_all_ranks", lambda step: [step()] * 2)
    generator = VLLMGenerator(engine)
    monkeypatch.setattr(engine, "complete", lambda ids, wanted: _sampled_by(generator._stamp, wanted["max_tokens"]))
    write = vllm_generator.write_merged_weights
    monkeypatch.setattr(
        vllm_generator, "write_merged_weights", lambda *given: folders.append(given[2]) or write(*given)
    )
    generator.update_weights(tiny_model(), 0)
    assert engine.told == told
    assert [folder is not None for folder in folders] == [told == PUSH]


async def _sampled_by(stamp: str, count: int) -> EngineCompletion:
    return EngineCompletion((1,) * count, (0.0,) * count, "length", 0, frozenset({stamp}))


def test_an_error_in_one_process_is_raised_in_all(monkeypatch):
    def gather(told: list[Any], own: Any) -> None:
        told[:] = [own, (None, "vLLM has ended")]

    monkeypatch.setattr(collectives, "_is_grouped", lambda: True)
    monkeypatch.setattr(torch.distributed, "get_world_size", lambda: 2)
    monkeypatch.setattr(torch.distributed, "all_gather_object", gather)
    with pytest.raises(ConnectionError, match="training process 1 has ended: vLLM has ended"):
        collectives.on_all_ranks(lambda: 5)
    with pytest.raises(ZeroDivisionError):
        collectives.on_all_ranks(lambda: 1 // 0)
