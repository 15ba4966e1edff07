from __future__ import annotations

import pytest
import torch
from torch.nn import functional
from transformers import LlamaConfig, LlamaForCausalLM

from tools.tiny_model import attention as tiny_attention


@pytest.mark.parametrize("length", [1, 7, 8, 20])
def test_blocks_give_causal_attention_and_its_gradients(length: int, monkeypatch):
    monkeypatch.setattr(tiny_attention, "BLOCK", 8)
    torch.manual_seed(0)
    states = [torch.randn(2, 3, length, 4, dtype=torch.float64, requires_grad=True) for _ in range(3)]
    weights = torch.randn(2, 3, length, 4, dtype=torch.float64)
    ours, _ = tiny_attention.causal_blocks(torch.nn.Module(), *states, None, scaling=0.3)
    theirs = functional.scaled_dot_product_attention(*states, is_causal=True, scale=0.3)
    assert torch.allclose(ours.transpose(1, 2), theirs, atol=1e-12)
    gradients = [torch.autograd.grad((out * weights).sum(), states) for out in (ours.transpose(1, 2), theirs)]
    for one, other in zip(*gradients, strict=True):
        assert torch.allclose(one, other, atol=1e-12)


def test_a_model_takes_it_by_its_name_and_padding_at_the_end_changes_nothing():
    torch.manual_seed(0)
    config = LlamaConfig(vocab_size=20, hidden_size=16, intermediate_size=8, num_hidden_layers=2, num_attention_heads=2)
    model = LlamaForCausalLM(config).double()
    ids = torch.randint(20, (1, 12))
    padded = torch.cat([ids, torch.zeros(1, 3, dtype=torch.long)], dim=1)
    with torch.no_grad():
        expected = model(ids).logits
        tiny_attention.register()
        model.set_attn_implementation(tiny_attention.NAME)
        assert torch.allclose(model(padded).logits[:, :12], expected, atol=1e-12)
