from __future__ import annotations

import math

import pytest
import torch
from reference import plain_completion
from test_hf_generator import tiny_model
from torch import nn

from envtune.rollout.generator import Completion, Request
from envtune.rollout.vllm.weight_probe import PROBE_LENGTH, probe_difference, probe_requests


def test_probes_are_equal_at_every_push_and_cover_the_vocabulary():
    model = tiny_model()
    requests = probe_requests(model)
    assert requests == probe_requests(tiny_model(seed=1))
    assert {len(request.ids) + request.max_new_tokens for request in requests} == {PROBE_LENGTH}
    assert {token for request in requests for token in request.ids} == set(range(64))


def test_a_sampler_with_equal_weights_differs_only_by_rounding():
    model = tiny_model().train()
    requests = [Request((5, 6, 7), 0, 4), Request((9, 8, 7), 1, 4)]
    completions = [plain_completion(model, request, 0.8) for request in requests]
    model.train()
    assert probe_difference(model, requests, completions, 0.8) < 1e-6
    assert probe_difference(tiny_model(seed=1), requests, completions, 0.8) > 0.1
    assert model.training


def test_the_difference_is_the_mean_over_tokens_in_nats():
    model = tiny_model()
    # Without a projection every one of the 64 tokens has log-prob -ln 64.
    nn.init.zeros_(model.get_output_embeddings().weight)
    even = -math.log(64)
    completions = [Completion((1, 2), (even, even + 0.3), False), Completion((3, 4), (even - 0.1, even), False)]
    requests = [Request((5, 6), 0, 2), Request((7, 8), 0, 2)]
    assert probe_difference(model, requests, completions, 1.0) == pytest.approx((0.3 + 0.1) / 4, abs=1e-5)


def test_the_probe_leaves_the_trainers_model_unchanged():
    model = tiny_model()
    attention = model.config._attn_implementation
    probe_difference(model, [Request((5,), 0, 1)], [Completion((1,), (0.0,), False)], 1.0)
    assert model.config._attn_implementation == attention
    assert all(parameter.requires_grad for parameter in model.parameters())
    assert torch.is_grad_enabled()
