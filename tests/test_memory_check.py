"""The warning before a run that the GPU's memory does not hold."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Any

import pytest
import torch

from envtune.command_line import memory_check
from envtune.command_line.memory_check import memory_warning, nearest_that_fits, warn_of_memory
from envtune.command_line.memory_estimate import PHASES, UPDATE, estimate
from tools.memory.estimate import compose

MIB = 2**20
# 4.3 million parameters: 2 x 2,000 x 512 in the embedding and projection, 2.3 million in the layers.
SMALL = {
    "architectures": ["Qwen2ForCausalLM"],
    "model_type": "qwen2",
    "vocab_size": 2000,
    "hidden_size": 512,
    "intermediate_size": 512,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 4,
    "tie_word_embeddings": False,
}
LENGTHS = ("rollout.max_prompt_tokens=512", "rollout.max_response_tokens=1024", "grpo.group_size=32")


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
    assert f"the GPU has {capacity / MIB:.0f} GiB: add grpo.max_tokens_per_batch=32768" in warning


def test_what_is_suggested_fits_and_the_next_larger_micro_batch_does_not(config: Any):
    smaller = compose_with(config, "grpo.max_tokens_per_batch=32768", "+rollout.generator.max_cache_tokens=20480")
    capacity = int(max(peaks(smaller).values()) / 0.9) + MIB
    settings = nearest_that_fits(config, capacity)
    assert settings[0] == "grpo.max_tokens_per_batch=32768"
    assert settings[1].startswith("+rollout.generator.max_cache_tokens=")
    assert max(peaks(compose_with(config, *settings)).values()) <= 0.9 * capacity
    assert max(peaks(config)[phase] for phase in UPDATE) > 0.9 * capacity


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
    warn_of_memory(config)
    assert caplog.messages == []
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    with caplog.at_level(logging.WARNING):
        warn_of_memory(config)
    assert len(caplog.messages) == 1
    assert caplog.messages[0].startswith("the estimated peak of this run")
    caplog.clear()
    config.trainer.accelerator = "cpu"
    warn_of_memory(config)
    assert caplog.messages == []


def compose_with(config: Any, *settings: str) -> Any:
    return compose(["model=hf", f"model.path={config.model.path}", "trainer=gpu", *LENGTHS, *settings])
