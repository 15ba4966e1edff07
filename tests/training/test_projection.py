"""Chunked log-probs and entropies against the whole logits, in float64 and by hand."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from envtune.training.model.projection import project

TEMPERATURE = 0.7


def case(bias: bool) -> tuple[nn.Linear, torch.Tensor, torch.Tensor, torch.Tensor]:
    torch.manual_seed(0)
    head = nn.Linear(8, 11, bias=bias)
    nn.init.normal_(head.weight)
    return head, torch.randn(7, 8), torch.randint(11, (7,)), torch.rand(2, 7)


def in_float64(head, states, targets):
    bias = None if head.bias is None else head.bias.double()
    logits = nn.functional.linear(states.double(), head.weight.double(), bias)
    distribution = torch.log_softmax(logits / TEMPERATURE, dim=-1)
    return distribution.gather(-1, targets[:, None])[:, 0], -(distribution.exp() * distribution).sum(dim=-1)


@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("rows", [1, 3, 7, 100])
def test_values_and_gradients_equal_those_of_the_whole_logits_for_any_chunk(bias: bool, rows: int) -> None:
    head, states, targets, weights = case(bias)
    gradients = []
    for run in (in_float64, lambda *inputs: project(*inputs, TEMPERATURE, logits_per_chunk=rows * 11)):
        inputs = states.clone().requires_grad_()
        logprobs, entropy = run(head, inputs, targets)
        loss = (weights[0] * logprobs + weights[1] * entropy).sum()
        gradients.append((logprobs, entropy, *torch.autograd.grad(loss, [inputs, *head.parameters()])))
    for expected, ours in zip(*gradients, strict=True):
        torch.testing.assert_close(ours.double(), expected.double(), atol=1e-5, rtol=1e-5)


def test_two_equal_logits_have_half_the_probability_each() -> None:
    head = nn.Linear(1, 2, bias=False)
    nn.init.ones_(head.weight)
    logprobs, entropy = project(head, torch.tensor([[3.0]]), torch.tensor([1]), TEMPERATURE)
    assert logprobs.tolist() == entropy.neg().tolist() == [pytest.approx(math.log(0.5))]


def test_a_frozen_head_gets_no_gradient_and_passes_it_on() -> None:
    head, states, targets, _ = case(bias=True)
    head.requires_grad_(False)
    states.requires_grad_()
    project(head, states, targets, TEMPERATURE)[0].sum().backward()
    assert head.weight.grad is None
    assert states.grad is not None
    assert states.grad.abs().sum() > 0


def test_no_tokens_give_no_values() -> None:
    head, states, targets, _ = case(bias=False)
    logprobs, entropy = project(head, states[:0], targets[:0], TEMPERATURE)
    assert logprobs.shape == entropy.shape == (0,)


def test_under_autocast_products_are_in_bfloat16_and_all_else_in_float32() -> None:
    head, states, targets, _ = case(bias=True)
    rounded = nn.Linear(8, 11)
    rounded.load_state_dict({"weight": head.weight.bfloat16().float(), "bias": head.bias})
    logits = (states.bfloat16() @ rounded.weight.bfloat16().T).float() + head.bias
    expected = torch.log_softmax(logits / TEMPERATURE, dim=-1).gather(-1, targets[:, None])[:, 0]
    with torch.autocast("cpu", dtype=torch.bfloat16):
        logprobs, entropy = project(head, states.requires_grad_(), targets, TEMPERATURE)
        (logprobs + entropy).sum().backward()
    assert logprobs.dtype == head.weight.grad.dtype == torch.float32
    torch.testing.assert_close(logprobs, expected, atol=1e-6, rtol=0)
