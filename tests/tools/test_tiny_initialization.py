from __future__ import annotations

import pytest
import torch
from transformers import LlamaConfig, LlamaForCausalLM

from tools.tiny_model import attention as tiny_initialization


@pytest.fixture(scope="module")
def model():
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=4096,
        hidden_size=192,
        intermediate_size=512,
        num_hidden_layers=4,
        num_attention_heads=3,
        tie_word_embeddings=True,
        attn_implementation="eager",
    )
    fresh = LlamaForCausalLM(config)
    tiny_initialization.initialize(fresh)
    return fresh


def test_the_first_heads_of_two_layers_look_at_the_token_before_wherever_it_stands(model):
    ids = torch.randint(3, 4096, (2, 300))
    with torch.no_grad():
        attentions = model(ids, output_attentions=True).attentions
    for layer, least in ((0, 0.9), (1, 0.3)):
        before = attentions[layer][:, 0].diagonal(-1, dim1=-2, dim2=-1)
        assert before.mean() > least
        assert before.mean(0)[-20:].min() > least - 0.2
    # Other heads, and those of higher layers, do not.
    assert attentions[0][:, 1].diagonal(-1, dim1=-2, dim2=-1).mean() < 0.1
    assert attentions[2][:, 0].diagonal(-1, dim1=-2, dim2=-1).mean() < 0.1


def test_what_such_a_head_passes_on_is_of_that_token_and_not_in_the_common_direction(model):
    attention, weights = model.model.layers[0].self_attn, model.model.embed_tokens.weight
    common = torch.nn.functional.normalize(weights.mean(0), dim=0)
    moved = attention.o_proj.weight[:, :64] @ attention.v_proj.weight[:64]
    # Means of 4096 random embeddings are in the common direction but for 2%.
    assert (moved @ common).norm() < 0.05 * moved.norm()
    assert (common @ moved).norm() < 0.05 * moved.norm()
    assert torch.linalg.matrix_rank(moved) >= 63


def test_the_common_direction_has_half_of_an_embeddings_square_and_leaves_predictions_alike(model):
    weights = model.model.embed_tokens.weight
    common = torch.nn.functional.normalize(weights.mean(0), dim=0)
    along = (weights @ common) ** 2 / weights.square().sum(1)
    assert along.mean().item() == pytest.approx(0.5, abs=0.02)
    # The part that all tokens have in common shifts every logit of a position by the same.
    states = torch.randn(5, 192)
    apart = weights - torch.outer(weights @ common, common)
    difference = states @ weights.T - states @ apart.T
    assert (difference.std(1) / (states @ apart.T).std(1)).max() < 0.05


def test_the_second_heads_of_upper_layers_look_behind_the_like_of_the_token_that_asks(model):
    once = torch.randperm(4096)[:100]
    ids = torch.cat([once, once])[None]
    with torch.no_grad():
        attentions = model(ids, output_attentions=True).attentions
    # From a token's second place to what stood behind its first: 99 tokens back. Layer 1 reads it straight from the
    # head below; higher up other things lie over it.
    for layer, times in ((1, 3.0), (2, 1.2), (3, 1.1)):
        far = {back: attentions[layer][0, 1].diagonal(-back)[100 - back :].mean() for back in (98, 99)}
        far[100] = attentions[layer][0, 1].diagonal(-100).mean()
        assert far[99] > times * max(far[98], far[100])


def test_other_heads_of_upper_layers_look_for_their_like_and_all_pass_on_what_they_find(model):
    for number, layer in enumerate(model.model.layers[1:], 1):
        attention, last = layer.self_attn, slice(128, 192)
        assert torch.equal(attention.q_proj.weight[last], attention.k_proj.weight[last])
        first = 64 if number == 1 else 0
        passed = tiny_initialization.GAIN * attention.v_proj.weight[first:].T
        assert torch.allclose(attention.o_proj.weight[:, first:], passed)
