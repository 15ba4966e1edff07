import copy

import pytest
import torch
from hand_made_batches import GROUPS, full_statistics, tiny_config
from other_models import other_model
from transformers import Qwen2ForCausalLM

from envtune.training.model import update_pass
from envtune.training.model.policy import Policy


@pytest.mark.parametrize("checkpointing", [False, True])
@pytest.mark.parametrize(
    "name", ["sinks", "both_caps", "windows", "scaled_logits", "dropout_without_module", "bloom", "recurrent"]
)
def test_values_and_gradients_are_those_of_each_row_alone(monkeypatch, name, checkpointing):
    # Two tokens a chunk of the model's own logits.
    monkeypatch.setattr(update_pass, "CPU_CHUNK", 2 * 64)
    model = other_model(name)
    alone = copy.deepcopy(model)
    if checkpointing and model.supports_gradient_checkpointing:
        model.gradient_checkpointing_enable(gradient_checkpointing_kwargs={"use_reentrant": False})
    policy = Policy(model, "plain").train()
    weights = torch.rand(GROUPS.sampled.shape, generator=torch.Generator().manual_seed(1))

    logprobs, entropy = full_statistics(alone, GROUPS)
    (weights * (logprobs + 0.5 * entropy)).sum().backward()
    statistics = policy(GROUPS)
    (weights * (statistics.logprobs + 0.5 * statistics.entropy)).sum().backward()

    torch.testing.assert_close(statistics.logprobs, logprobs, atol=1e-4, rtol=0)
    torch.testing.assert_close(statistics.entropy, entropy, atol=1e-4, rtol=0)
    torch.testing.assert_close(policy.reference_logprobs(GROUPS), logprobs.detach(), atol=1e-4, rtol=0)
    for (name, ours), theirs in zip(policy.model.named_parameters(), alone.parameters(), strict=True):
        if theirs.grad is not None:
            # The gradients of some biases of keys are zero but for rounding.
            difference = float((ours.grad - theirs.grad).norm() / theirs.grad.norm().clamp(min=1e-2))
            assert difference < 1e-3, (name, difference)


def test_both_paths_have_equal_gradients_on_a_model_that_permits_both():
    torch.manual_seed(0)
    model = Qwen2ForCausalLM(tiny_config()).eval()
    plain, shared = Policy(copy.deepcopy(model), "plain"), Policy(model)
    assert (plain.path, shared.path) == ("plain", "shared")
    for policy in (plain, shared):
        (policy(GROUPS).logprobs + policy(GROUPS).entropy).sum().backward()
    for ours, theirs in zip(plain.parameters(), shared.parameters(), strict=True):
        torch.testing.assert_close(ours.grad, theirs.grad, atol=1e-4, rtol=1e-4)


def test_passes_are_cut_by_the_tokens_of_their_padded_rows():
    policy = Policy(other_model("windows"))
    fed = []
    # Rows of 8, 4, 11 and 6 tokens: 11 and 8 in 22, then 6 and 4 in 12.
    passes = policy.micro_batches(GROUPS, 22)
    assert [rows.tolist() for rows in passes] == [[2, 0], [3, 1]]
    policy.model.get_decoder().register_forward_pre_hook(
        lambda module, args, kwargs: fed.append(tuple(kwargs["input_ids"].shape)), with_kwargs=True
    )
    for rows in passes:
        policy(GROUPS.select(rows))
    assert fed == [(2, 11), (2, 6)]


def test_autocast_trains_float32_weights_on_the_plain_path():
    policy = Policy(other_model("both_caps"))
    exact = policy(GROUPS).logprobs
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = policy(GROUPS).logprobs
    found.sum().backward()
    torch.testing.assert_close(found, exact, atol=0.3, rtol=0)
    assert all(weight.grad.dtype == torch.float32 for weight in policy.parameters() if weight.grad is not None)
