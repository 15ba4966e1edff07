from __future__ import annotations

from pathlib import Path

import pytest
import torch
from test_hf_generator import tiny_model
from transformers import AutoModelForCausalLM

from envtune.rollout.merged_weights import merged_weights, write_merged_weights

IDS = torch.tensor([[5, 6, 7, 8]])


def with_adapter(model):
    """Add an adapter of rank 2 with large weights to query and value projections."""
    import peft

    config = peft.LoraConfig(r=2, lora_alpha=6, target_modules=["q_proj", "v_proj"])
    peft.inject_adapter_in_model(config, model, adapter_name="policy")
    for name, parameter in model.named_parameters():
        if ".lora_" in name:
            torch.nn.init.normal_(parameter, std=0.5)
    return model


@pytest.mark.parametrize("adapted", [False, True], ids=["plain", "adapter"])
def test_transformers_loads_a_model_with_equal_logits(tmp_path: Path, adapted: bool):
    model = with_adapter(tiny_model()) if adapted else tiny_model()
    write_merged_weights(model, torch.float32, tmp_path)
    with torch.no_grad():
        expected = model.eval()(IDS).logits
        assert torch.allclose(AutoModelForCausalLM.from_pretrained(tmp_path).eval()(IDS).logits, expected, atol=1e-5)
        if adapted:
            assert not torch.allclose(tiny_model().eval()(IDS).logits, expected, atol=0.1)


def test_an_adapter_is_merged_before_weights_are_rounded():
    model = with_adapter(tiny_model())
    layer = model.model.layers[0].self_attn.q_proj
    matrices = layer.lora_B["policy"].weight @ layer.lora_A["policy"].weight
    # Weighted by alpha / r = 3.
    expected = (layer.base_layer.weight + 3 * matrices).to(torch.bfloat16)
    weights = dict(merged_weights(model, torch.bfloat16))
    assert torch.equal(weights["model.layers.0.self_attn.q_proj.weight"], expected)
    assert {tensor.dtype for tensor in weights.values()} == {torch.bfloat16}
    assert set(weights) == set(tiny_model().state_dict())
