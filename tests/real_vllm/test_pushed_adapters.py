"""Pushes of a model with tied embeddings, with and without an adapter."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import peft
import pytest
import torch
from small_engine import small_generator, small_model, take_a_small_step
from talk import Talk

from envtune.rollout.vllm.engine import EngineError
from envtune.rollout.vllm.own_engine import OwnEngine
from envtune.rollout.vllm.vllm_generator import VLLMGenerator


@pytest.fixture(scope="module")
def generator() -> Iterator[VLLMGenerator]:
    generator = small_generator()
    yield generator
    generator.engine.close()


def test_an_adapter_is_pushed_as_merged_weights(generator, monkeypatch):
    model = small_model(tied=True)
    config = peft.LoraConfig(r=4, lora_alpha=8, target_modules=["q_proj", "v_proj", "down_proj"])
    peft.inject_adapter_in_model(config, model, adapter_name="policy")
    for version in range(2):
        for name, weight in model.named_parameters():
            if ".lora_" in name:
                torch.nn.init.normal_(weight, std=0.3)
        generator.update_weights(model, version)
        assert Talk().play(generator).largest_difference(model) < 1e-4
    with torch.no_grad():
        next(weight for name, weight in model.named_parameters() if ".lora_B" in name)[0] += 1e-6
    monkeypatch.setattr(OwnEngine, "load", lambda engine, folder, dtype: None)
    with pytest.raises(EngineError, match="policy version 2: they differ in layer 0;"):
        generator.update_weights(model, 2)


def test_a_stale_packed_output_projection_is_detected(generator, monkeypatch):
    """vLLM's own reload leaves it stale if the embeddings are tied."""
    model = small_model(tied=True)
    generator.update_weights(model, 3)
    take_a_small_step(model)

    def reload(engine: OwnEngine, folder: Path, dtype: torch.dtype) -> None:
        weights = {"weights_path": str(folder)}
        engine._call("load the weights", "collective_rpc", "reload_weights", kwargs=weights)

    monkeypatch.setattr(OwnEngine, "load", reload)
    with pytest.raises(EngineError, match="they differ in embedding, last norm or head;"):
        generator.update_weights(model, 4)
