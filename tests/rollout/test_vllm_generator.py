"""What of sampling with vLLM needs no vLLM; tests/real_vllm has the rest."""

from __future__ import annotations

import importlib.util
import re
from typing import Any

import pytest
import torch
from test_hf_generator import tiny_model

from envtune.errors import UserError
from envtune.rollout import vllm_generator
from envtune.rollout.generator import Completion, Request
from envtune.rollout.vllm_engine import EngineError
from envtune.rollout.vllm_generator import VLLMGenerator
from envtune.rollout.weight_probe import SAMPLED_TOKENS

BUDGETS = {"max_prompt_tokens": 100, "max_response_tokens": 200}


class ToldEngine:
    """Writes down what it is told. Its completions are ``ids`` with log-probs of ``model``, shifted by ``error``."""

    def __init__(self, folder: Any, arguments: dict[str, Any], timeout: float) -> None:
        self.told, self.arguments, self.timeout = ["start"], arguments, timeout
        ToldEngine.newest = self

    def load(self, folder: Any) -> None:
        self.told.append("load")

    def forget(self) -> None:
        self.told.append("forget")

    def sleep(self) -> None:
        self.told.append("sleep")

    def wake(self) -> None:
        self.told.append("wake")

    def run(self, coroutine: Any, purpose: str) -> list[Completion]:
        coroutine.close()
        self.told.append(purpose)
        return [Completion((1,) * SAMPLED_TOKENS, (0.0,) * SAMPLED_TOKENS, False)] * 4


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch):
    """A generator with that engine; the difference of the probes is what ``differences`` says, push by push."""
    differences: list[float] = []
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: name)
    monkeypatch.setattr(vllm_generator, "Engine", ToldEngine)
    monkeypatch.setattr(vllm_generator, "probe_difference", lambda *_: differences.pop(0))
    return differences


def test_without_vllm_the_generator_says_what_to_install(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(UserError, match=re.escape("needs the package vllm: pip install -e '.[vllm]', or sample with")):
        VLLMGenerator(**BUDGETS)


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ({"temperature": 0.0}, r"temperature=0\.0 is not above 0"),
        ({"dtype": "int8"}, "dtype=int8 is no choice of the vLLM generator; choose one of auto, float32"),
        ({"timeout": 0}, "timeout=0 is not above 0"),
    ],
)
def test_values_out_of_range_are_named(setting, message):
    with pytest.raises(UserError, match=message):
        VLLMGenerator(**BUDGETS, **setting)


def test_every_push_empties_the_cache_before_it_is_probed(told):
    told += [0.0, 0.0]
    generator = VLLMGenerator(**BUDGETS, sleep=False)
    for version in (0, 1):
        generator.update_weights(tiny_model(), version)
    assert ToldEngine.newest.told == ["start", "be probed", "load", "forget", "be probed"]
    assert generator.policy_version == 1


def test_the_engine_sleeps_whenever_the_trainer_works(told):
    told += [0.0, 0.0]
    generator = VLLMGenerator(**BUDGETS, sleep=True)
    generator.update_weights(tiny_model(), 0)
    generator.run([Request((1,), 0, 1)], lambda *_: None)
    generator.update_weights(tiny_model(), 1)
    first, sampling = ["start", "be probed", "sleep"], ["wake", "sample", "sleep"]
    assert ToldEngine.newest.told == [*first, *sampling, "wake", "load", "forget", "be probed", "sleep"]
    assert ToldEngine.newest.arguments["enable_sleep_mode"] is True


@pytest.mark.parametrize("difference", [2e-3, float("nan")])
def test_a_push_that_changed_the_log_probs_is_no_push(told, difference):
    told += [1e-4, difference]
    generator = VLLMGenerator(**BUDGETS, sleep=False)
    generator.update_weights(tiny_model(), 4)
    with pytest.raises(EngineError, match=r"policy version 5: .* nats on average, 0.001 is allowed"):
        generator.update_weights(tiny_model(), 5)
    with pytest.raises(RuntimeError, match="no weights that it knows; call update_weights first"):
        generator.run([Request((1,), 0, 1)], lambda *_: None)


def test_the_tolerance_is_the_dtypes_unless_it_is_given(told):
    told += [0.1, 0.1]
    VLLMGenerator(**BUDGETS, sleep=False, dtype="bfloat16").update_weights(tiny_model(), 0)
    with pytest.raises(EngineError, match=r"0.01 is allowed \(bfloat16"):
        VLLMGenerator(**BUDGETS, sleep=False, dtype="bfloat16", probe_tolerance=0.01).update_weights(tiny_model(), 0)


def test_the_engine_has_room_for_the_longest_episode(told):
    told += [0.0]
    VLLMGenerator(**BUDGETS, sleep=False, engine={"block_size": 64}).update_weights(tiny_model(), 0)
    arguments = ToldEngine.newest.arguments
    assert (arguments["max_model_len"], arguments["block_size"], arguments["dtype"]) == (300, 64, "float32")


def test_several_training_processes_are_refused(told, monkeypatch):
    monkeypatch.setattr(torch.distributed, "is_initialized", lambda: True)
    monkeypatch.setattr(torch.distributed, "get_world_size", lambda: 2)
    with pytest.raises(UserError, match="samples for one training process, and there are 2"):
        VLLMGenerator(**BUDGETS).update_weights(tiny_model(), 0)


def test_sampling_without_weights_is_refused(told):
    with pytest.raises(RuntimeError, match="call update_weights first"):
        VLLMGenerator(**BUDGETS).run([Request((1,), 0, 1)], lambda *_: None)
