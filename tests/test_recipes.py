"""The choices of `model=` for one GPU fit it by the estimate. No such model has run here."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from model_shapes import SHAPES
from transformers import AutoConfig, AutoModelForCausalLM

from envtune.command_line.memory_estimate import GIB, PHASES, estimate
from tools.memory.estimate import compose

SMALL = [choice for choice in SHAPES if choice not in ("qwen2.5-7b", "llama3.1-8b")]
ADAPTER = ("model.lora.r=16", "model.dtype=bfloat16", "optimizer.lr=1e-5")
# What a card of 24 or 80 GB leaves to what is estimated: nine tenths of it.
CARD_24, CARD_80 = 0.9 * 24, 0.9 * 80


def peak(choice: str, folder: Path, *settings: str) -> float:
    """Return the estimated peak in GiB.

    Sizes are linear in the number of layers, so two small models give that of the large one in a second. Only the
    working memory of a prompt grows less than that, by some 2 GiB of a 7B model.
    """
    shape: dict[str, Any] = SHAPES[choice][1]
    one, two = (_phases(choice, folder, {**shape, "num_hidden_layers": layers}, settings) for layers in (1, 2))
    return max(a + (shape["num_hidden_layers"] - 1) * (b - a) for a, b in zip(one, two, strict=True)) / GIB


def _phases(choice: str, folder: Path, shape: dict[str, Any], settings: tuple[str, ...]) -> list[int]:
    (folder / "config.json").write_text(json.dumps(shape))
    parts = estimate(compose([f"model={choice}", f"model.path={folder}", "trainer=gpu", *settings]))
    return [sum(part.size for part in parts if phase in part.phases) for phase in PHASES]


@pytest.mark.parametrize("choice", SHAPES)
def test_a_shape_has_as_many_parameters_as_its_card_says(choice: str, tmp_path: Path):
    billions, shape = SHAPES[choice]
    (tmp_path / "config.json").write_text(json.dumps(shape))
    with torch.device("meta"):
        model = AutoModelForCausalLM.from_config(AutoConfig.from_pretrained(tmp_path))
    assert sum(weight.numel() for weight in model.parameters()) / 1e9 == pytest.approx(billions, abs=0.006)


@pytest.mark.parametrize("choice", SMALL)
def test_a_small_models_recipe_fits_24_gb(choice: str, tmp_path: Path):
    pytest.importorskip("peft")
    assert peak(choice, tmp_path) <= CARD_24


@pytest.mark.parametrize("choice", ["qwen2.5-7b", "llama3.1-8b"])
def test_the_papers_models_fit_80_gb_with_an_adapter_and_not_without(choice: str, tmp_path: Path):
    pytest.importorskip("peft")
    assert peak(choice, tmp_path, *ADAPTER) <= CARD_80
    assert peak(choice, tmp_path) > 80


def test_an_adapter_has_its_own_learning_rate_and_all_weights_the_papers():
    for choice in SMALL:
        config = compose([f"model={choice}", "trainer=gpu"])
        assert config.optimizer.lr == (1e-5 if config.model.lora.r else 1e-6)
        assert config.model.dtype == ("bfloat16" if config.model.lora.r else "float32")
