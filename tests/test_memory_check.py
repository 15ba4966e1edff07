"""The warning before a run that the GPU's memory does not hold."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from envtune.command_line import memory_check
from envtune.command_line.memory_check import memory_warning, nearest_that_fits, warn_of_memory
from envtune.command_line.memory_estimate import PHASES, UPDATE, estimate
from tools.memory.estimate import compose

MIB = 2**20
# 22 million parameters, nearly all in embedding and projection.
SMALL = {
    "architectures": ["Qwen2ForCausalLM"],
    "model_type": "qwen2",
    "vocab_size": 20000,
    "hidden_size": 512,
    "intermediate_size": 512,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 4,
    "tie_word_embeddings": False,
}
# A group of 512 and 16 x 4,096 tokens fills a micro-batch of 65,536.
LENGTHS = ("rollout.max_prompt_tokens=512", "rollout.max_response_tokens=4096", "rollout.max_episodes=16")


@pytest.fixture
def config(tmp_path: Path) -> Any:
    """A run whose micro-batches, KV cache and weights are each a good part of its memory."""
    (tmp_path / "config.json").write_text(json.dumps(SMALL))
    return compose(["model=hf", f"model.path={tmp_path}", "trainer=gpu", *LENGTHS])


def peaks(config: Any) -> dict[str, int]:
    parts = estimate(config)
    return {phase: sum(part.size for part in parts if phase in part.phases) for phase in PHASES}


def test_a_run_that_fits_gives_no_warning(config: Any):
    assert memory_warning(config, max(peaks(config).values())) is None


def test_the_warning_names_the_peak_the_card_and_the_settings_to_add(config: Any, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(memory_check, "GIB", MIB)
    found = peaks(config)
    capacity = max(found.values()) - MIB
    warning = memory_warning(config, capacity)
    assert warning is not None
    assert f"({max(found, key=found.__getitem__)}) is {max(found.values()) / MIB:.0f} GiB" in warning
    assert f"the GPU has {capacity / MIB:.0f} GiB: add grpo.max_tokens_per_batch=" in warning


def test_the_suggested_micro_batch_is_the_largest_that_leaves_a_tenth_free(config: Any):
    half = compose_with(config, "grpo.max_tokens_per_batch=32768")
    capacity = int(max(peaks(half).values()) / 0.9) + MIB
    assert nearest_that_fits(config, capacity) == ("grpo.max_tokens_per_batch=32768",)
    assert max(peaks(config).values()) > 0.9 * capacity


def test_a_smaller_kv_cache_is_suggested_where_only_the_sampler_has_no_room(config: Any):
    # 8 GiB of keys and values, at 8 KiB a slot.
    long = ("rollout.max_episodes=64", "rollout.max_response_tokens=16384")
    many = compose_with(config, *long, "+rollout.generator.max_cache_tokens=2000000")
    found = peaks(many)
    capacity = int(max(found[phase] for phase in UPDATE) / 0.9) + MIB
    assert found["sampling"] > 0.9 * capacity
    (setting,) = nearest_that_fits(many, capacity)
    assert setting.startswith("+rollout.generator.max_cache_tokens=")
    assert peaks(compose_with(config, *long, setting))["sampling"] <= 0.9 * capacity


def test_an_adapter_is_suggested_where_no_micro_batch_is_small_enough(config: Any):
    least = compose_with(config, "grpo.max_tokens_per_batch=8192")
    capacity = max(peaks(least)[phase] for phase in UPDATE) - MIB
    settings = nearest_that_fits(config, capacity)
    assert settings[:3] == ("model.lora.r=16", "model.dtype=bfloat16", "optimizer.lr=1e-5")


def test_more_gpus_are_suggested_where_nothing_fits(config: Any):
    warning = memory_warning(config, MIB)
    assert warning is not None
    assert "so use more GPUs with trainer=fsdp, or a smaller model" in warning


def test_a_run_that_cannot_be_estimated_gives_no_warning(config: Any):
    config.rollout.generator._target_ = "my_package.MyGenerator"
    assert memory_warning(config, MIB) is None


def test_the_gpu_of_this_machine_is_asked_and_a_cpu_never(
    config: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
):
    class Card:
        total_memory = 5 * MIB

    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda index: Card)
    monkeypatch.setattr(memory_check, "memory_warning", lambda config, capacity: f"{capacity} bytes are not enough")
    warn_of_memory(config)
    assert caplog.messages == []
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    warn_of_memory(config)
    assert caplog.messages == [f"{5 * MIB} bytes are not enough"]
    config.trainer.accelerator = "cpu"
    warn_of_memory(config)
    assert len(caplog.messages) == 1


def test_a_model_whose_code_refuses_tensors_without_data_is_named_and_trains(
    config: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
):
    def refuse(config: Any, capacity: int) -> str:
        raise RuntimeError("no data")

    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda index: type("Card", (), {"total_memory": MIB}))
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(memory_check, "memory_warning", refuse)
    warn_of_memory(config)
    assert caplog.messages == ["the memory of this run cannot be estimated (RuntimeError: no data)"]


def compose_with(config: Any, *settings: str) -> Any:
    return compose(["model=hf", f"model.path={config.model.path}", "trainer=gpu", *LENGTHS, *settings])
