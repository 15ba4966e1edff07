"""Low-rank adapters on the stacked weights of a mixture of experts."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import pytest
import torch
from hand_made_batches import BATCH, GROUPS, SIZES, TEMPERATURE, full_statistics
from transformers import (
    DbrxConfig,
    DbrxForCausalLM,
    GptOssConfig,
    GptOssForCausalLM,
    MambaConfig,
    MambaForCausalLM,
    MixtralConfig,
    MixtralForCausalLM,
    Qwen3MoeConfig,
    Qwen3MoeForCausalLM,
)

from envtune.errors import UserError
from envtune.rollout.generator import Completion, Request
from envtune.rollout.hf.hf_generator import HFGenerator
from envtune.rollout.merged_weights import merged_weights, write_merged_weights
from envtune.training.model.lora import LoRA, adapter_of, adapter_tensors, add_adapter, reference_weights
from envtune.training.model.policy import Policy
from envtune.training.model.weights import load_model, load_trained
from envtune.training.run_folder.checkpoint_io import AtomicCheckpointIO

RANK_2 = LoRA(r=2, alpha=4)
MOE = {**SIZES, "num_key_value_heads": 2, "head_dim": 8, "num_experts_per_tok": 2}
MODELS = {
    "mixtral": lambda: MixtralForCausalLM(MixtralConfig(**MOE, num_local_experts=4)),
    "qwen3_moe": lambda: Qwen3MoeForCausalLM(Qwen3MoeConfig(**MOE, num_experts=4, moe_intermediate_size=16)),
    "gpt_oss": lambda: GptOssForCausalLM(GptOssConfig(**MOE, num_local_experts=4, sliding_window=4)),
}


@pytest.fixture(params=["mixtral", "qwen3_moe"])
def model_path(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    torch.manual_seed(0)
    MODELS[request.param]().save_pretrained(tmp_path / "model")
    return str(tmp_path / "model")


def adapted(path: str, **settings: Any) -> Policy:
    return Policy(load_model(path, lora=RANK_2, **settings))


def update(policy: Policy) -> None:
    optimizer = torch.optim.Adam([p for p in policy.parameters() if p.requires_grad], lr=0.05)
    for _ in range(2):
        optimizer.zero_grad()
        policy(GROUPS).logprobs.sum().backward()
        optimizer.step()


def save(policy: Policy, path: Path) -> str:
    state = {f"policy.{name}": value for name, value in policy.state_dict().items()}
    AtomicCheckpointIO().save_checkpoint({"state_dict": state, "global_step": 2}, path)
    return str(path)


@pytest.mark.parametrize("architecture", MODELS)
@torch.no_grad()
def test_every_expert_has_an_adapter_that_merges_into_its_weights(architecture: str) -> None:
    torch.manual_seed(0)
    bare, model = MODELS[architecture]().eval(), MODELS[architecture]().eval()
    model.load_state_dict(bare.state_dict())
    add_adapter(model, RANK_2)
    ids = torch.arange(1, 21)[None]
    assert model(input_ids=ids).logits.equal(bare(input_ids=ids).logits)
    for name, matrix in model.named_parameters():
        if ".lora_B." in name:
            matrix.normal_(0.0, 0.3)
    merged = MODELS[architecture]().eval()
    merged.load_state_dict(dict(merged_weights(model, torch.float32)))
    changed = model(input_ids=ids).logits
    torch.testing.assert_close(merged(input_ids=ids).logits, changed, atol=2e-4, rtol=0)
    assert (changed - bare(input_ids=ids).logits).abs().max() > 1
    with reference_weights(model):
        assert model(input_ids=ids).logits.equal(bare(input_ids=ids).logits)
    for layer, experts in enumerate(model.model.layers):
        for name in ("gate_up_proj", "down_proj"):
            place = f"model.layers.{layer}.mlp.experts.{name}"
            assert place in adapter_of(model).targets
            difference = merged.get_parameter(place) - bare.get_parameter(place)
            assert difference.flatten(1).abs().amax(1).min() > 0.01, (experts, place)


def test_sampler_update_and_merged_weights_agree_after_an_update(tmp_path: Path, model_path: str) -> None:
    policy = adapted(model_path)
    assert policy(BATCH).logprobs.equal(Policy(load_model(model_path))(BATCH).logprobs)
    before = policy.reference_logprobs(BATCH)
    update(policy)
    assert policy.reference_logprobs(BATCH).equal(before)
    assert (policy(BATCH).logprobs - before).abs().max() > 0.1

    merged = load_trained(model_path, save(policy, tmp_path / "best.ckpt"), "float32", trust_remote_code=False)
    with torch.no_grad():
        expected = full_statistics(merged.eval(), BATCH)[0]
    torch.testing.assert_close(policy(BATCH).logprobs.detach(), expected, atol=1e-4, rtol=0)

    sampled: list[Completion] = []
    generator = HFGenerator(TEMPERATURE)
    generator.update_weights(policy.model_to_sample(), 1)
    generator.run([Request((3, 14, 15), 0, 6)], lambda number, completion: sampled.append(completion))
    ids = torch.tensor([(3, 14, 15, *sampled[0].ids)])
    with torch.no_grad():
        logs = (merged(input_ids=ids).logits[0, 2:-1] / TEMPERATURE).log_softmax(-1)
    found = logs.gather(-1, ids[0, 3:, None])[:, 0]
    torch.testing.assert_close(torch.tensor(sampled[0].logprobs), found, atol=1e-4, rtol=0)

    sums = write_merged_weights(policy.model, torch.float32, tmp_path / "merged")
    assert sums == write_merged_weights(load_model(str(tmp_path / "merged")), torch.float32, None)


def test_gradient_checkpointing_gives_experts_the_same_gradients(model_path: str) -> None:
    first, second = (adapted(model_path, gradient_checkpointing=checkpointing) for checkpointing in (False, True))
    second.load_state_dict(first.state_dict())
    for policy in (first, second):
        policy(GROUPS).logprobs.sum().backward()
    for name, parameter in first.model.named_parameters():
        if parameter.requires_grad:
            torch.testing.assert_close(second.model.get_parameter(name).grad, parameter.grad, atol=1e-6, rtol=1e-5)


def test_the_next_stage_and_a_resumed_run_begin_at_the_experts_adapter(tmp_path: Path, model_path: str) -> None:
    first = adapted(model_path)
    update(first)
    saved = first(BATCH).logprobs.detach()
    checkpoint = save(first, tmp_path / "stage_1.ckpt")
    second = adapted(model_path, init_from=checkpoint)
    assert second(BATCH).logprobs.equal(saved)
    update(second)
    assert second.reference_logprobs(BATCH).equal(saved)
    assert set(second.state_dict()) == set(first.state_dict())
    resumed = adapted(model_path)
    resumed.load_state_dict(first.state_dict())
    assert resumed(BATCH).logprobs.equal(saved)
    linear = LoRA(r=2, alpha=4, targets=["q_proj"])
    with pytest.raises(UserError, match=r"is on 12 layers \(down_proj, gate_up_proj, .*\), but model.lora.targets"):
        Policy(load_model(model_path, lora=linear, init_from=checkpoint))


def test_experts_can_be_the_only_target(model_path: str) -> None:
    model = load_model(model_path, lora=LoRA(r=2, targets=["experts.down_proj"]))
    assert adapter_of(model).targets == [f"model.layers.{layer}.mlp.experts.down_proj" for layer in range(2)]
    assert {name.split(".")[4] for name in adapter_tensors(model)} == {"experts"}


def test_adapters_beside_bfloat16_experts_are_float32(model_path: str) -> None:
    policy = adapted(model_path, dtype="bfloat16")
    assert {policy.model.get_parameter(name).dtype for name in adapter_tensors(policy.model)} == {torch.float32}
    assert policy.reference_logprobs(BATCH).equal(policy(BATCH).logprobs)
    update(policy)
    assert (policy(BATCH).logprobs - policy.reference_logprobs(BATCH)).abs().max() > 0.1


def test_a_model_whose_experts_are_not_adapted_warns_of_its_frozen_share(caplog: pytest.LogCaptureFixture) -> None:
    config = DbrxConfig(vocab_size=64, d_model=32, n_heads=4, n_layers=1, max_seq_len=64)
    config.attn_config.kv_n_heads, config.attn_config.rope_theta = 2, 1e4
    config.ffn_config.ffn_hidden_size, config.ffn_config.moe_num_experts = 48, 4
    add_adapter(DbrxForCausalLM(config), RANK_2)
    # Attention 32 x (32 + 2 x 16) + 32 x 32, router 32 x 4, four experts of 3 x 32 x 48, three norms of 32 weights.
    share = (3072 + 128) / (3072 + 128 + 4 * 3 * 32 * 48 + 96)
    assert f"{share:.0%}" == "15%"
    assert "on layers with 15% of the weights of DbrxForCausalLM" in caplog.text
    assert caplog.records[-1].levelno == logging.WARNING


def test_layers_that_peft_refuses_are_named_in_one_sentence() -> None:
    model = MambaForCausalLM(MambaConfig(vocab_size=64, hidden_size=32, num_hidden_layers=1, state_size=4))
    with pytest.raises(UserError, match=r"cannot adapt MambaForCausalLM \(.*out_proj.*model.lora.targets"):
        add_adapter(model, RANK_2)
