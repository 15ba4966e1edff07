import copy
import json

import pytest
import torch
from hand_made_batches import BATCH, GROUPS, SHORT, SIZES, batch_of, full_statistics, save_model, tiny_config
from peft import LoraConfig, inject_adapter_in_model
from transformers import (
    AutoModelForCausalLM,
    GPT2Config,
    GPT2LMHeadModel,
    LlamaConfig,
    LlamaForCausalLM,
    Qwen2ForCausalLM,
    Qwen3Config,
    Qwen3ForCausalLM,
    T5Config,
)

from envtune.errors import UserError
from envtune.training.model.policy import Policy
from envtune.training.model.update_pass import token_statistics
from envtune.training.model.weights import load_model


def loaded(path: str, **settings) -> Policy:
    return Policy(load_model(path, **settings))


@pytest.fixture
def model_path(tmp_path):
    return save_model(tmp_path / "model")


@pytest.mark.parametrize("tied", [False, True])
@pytest.mark.parametrize("gradient_checkpointing", [False, True])
def test_chunked_statistics_and_their_gradients_equal_those_of_the_full_logits(tmp_path, tied, gradient_checkpointing):
    path = save_model(tmp_path, tied)
    policy = loaded(path, gradient_checkpointing=gradient_checkpointing).train()
    plain = AutoModelForCausalLM.from_pretrained(path)
    weights = torch.rand(BATCH.sampled.shape, generator=torch.Generator().manual_seed(1))

    logprobs, entropy = full_statistics(plain, BATCH)
    (weights * (logprobs + 0.5 * entropy)).sum().backward()
    # 64 logits a token: three tokens a chunk, so that six tokens take two chunks.
    statistics = token_statistics(policy.model, BATCH, logits_per_chunk=3 * 64)
    (weights * (statistics.logprobs + 0.5 * statistics.entropy)).sum().backward()

    torch.testing.assert_close(statistics.logprobs, logprobs, atol=1e-5, rtol=0)
    torch.testing.assert_close(statistics.entropy, entropy, atol=1e-5, rtol=0)
    for (name, ours), theirs in zip(policy.model.named_parameters(), plain.parameters(), strict=True):
        torch.testing.assert_close(ours.grad, theirs.grad, atol=1e-5, rtol=1e-5, msg=name)


def test_float32_weights_are_trained_in_bfloat16_arithmetic(model_path):
    exact, mixed = loaded(model_path), loaded(model_path)
    expected = token_statistics(exact.model, BATCH).logprobs
    expected.sum().backward()
    # What trainer.precision=bf16-mixed does, the default on a GPU.
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = token_statistics(mixed.model, BATCH).logprobs
    found.sum().backward()
    assert not torch.equal(found, expected)
    # Bfloat16 has 8 bits: a logit of some units is off by some hundredths.
    torch.testing.assert_close(found, expected, atol=0.3, rtol=0)
    for ours, theirs in zip(mixed.model.parameters(), exact.model.parameters(), strict=True):
        assert ours.grad.dtype == torch.float32
        assert torch.cosine_similarity(ours.grad.flatten(), theirs.grad.flatten(), dim=0) > 0.99


ARCHITECTURES = {
    "qwen2": lambda: Qwen2ForCausalLM(tiny_config()),
    "llama": lambda: LlamaForCausalLM(LlamaConfig(**SIZES, num_key_value_heads=4)),
    "qwen3": lambda: Qwen3ForCausalLM(Qwen3Config(**SIZES, num_key_value_heads=1, head_dim=16)),
    "gpt2": lambda: GPT2LMHeadModel(GPT2Config(vocab_size=64, n_embd=32, n_layer=2, n_head=4, initializer_range=0.3)),
}


@pytest.mark.parametrize("architecture", ARCHITECTURES)
@pytest.mark.parametrize("gradient_checkpointing", [False, True])
def test_a_shared_prompt_computed_once_gives_the_values_and_gradients_of_padded_rows(
    architecture, gradient_checkpointing
):
    torch.manual_seed(0)
    plain = ARCHITECTURES[architecture]().eval()
    policy = Policy(copy.deepcopy(plain))
    if gradient_checkpointing:
        policy.model.gradient_checkpointing_enable()
    weights = torch.rand(GROUPS.sampled.shape, generator=torch.Generator().manual_seed(1))

    logprobs, entropy = full_statistics(plain, GROUPS)
    (weights * (logprobs + 0.5 * entropy)).sum().backward()
    statistics = policy(GROUPS)
    (weights * (statistics.logprobs + 0.5 * statistics.entropy)).sum().backward()

    torch.testing.assert_close(statistics.logprobs, logprobs, atol=1e-5, rtol=0)
    torch.testing.assert_close(statistics.entropy, entropy, atol=1e-5, rtol=0)
    for (name, ours), theirs in zip(policy.model.named_parameters(), plain.parameters(), strict=True):
        difference = float((ours.grad - theirs.grad).norm() / theirs.grad.norm().clamp(min=1e-6))
        assert difference < 1e-5, (name, difference)


@pytest.mark.parametrize("gradient_checkpointing", [False, True])
def test_low_rank_adapters_get_the_same_gradients_as_in_padded_rows(gradient_checkpointing):
    torch.manual_seed(0)
    plain = Qwen2ForCausalLM(tiny_config()).eval()
    # Not initialised to zero, or half of the gradients would be.
    adapters = LoraConfig(r=4, target_modules="all-linear", init_lora_weights=False)
    inject_adapter_in_model(adapters, plain)
    policy = Policy(copy.deepcopy(plain))
    if gradient_checkpointing:
        policy.model.gradient_checkpointing_enable()
        policy.model.enable_input_require_grads()

    logprobs, entropy = full_statistics(plain, GROUPS)
    (logprobs + entropy).sum().backward()
    statistics = policy(GROUPS)
    (statistics.logprobs + statistics.entropy).sum().backward()

    torch.testing.assert_close(statistics.logprobs, logprobs, atol=1e-5, rtol=0)
    trained = [(name, weight) for name, weight in policy.model.named_parameters() if weight.requires_grad]
    # Two matrices for each of seven linear layers in two blocks; all other weights are frozen.
    assert len(trained) == 2 * 7 * 2
    for name, weight in trained:
        expected = plain.get_parameter(name).grad
        assert float((weight.grad - expected).norm() / expected.norm()) < 1e-5, name


def test_the_model_is_fed_every_token_once(model_path):
    policy = loaded(model_path)
    fed = []
    policy.model.get_decoder().register_forward_pre_hook(
        lambda module, args, kwargs: fed.append(kwargs["input_ids"].numel()), with_kwargs=True
    )
    policy(GROUPS)
    # The prompt of 5, then 3, 6 and 1 tokens, and the other row of 4.
    assert fed == [5 + 3 + 6 + 1 + 4]


def test_a_batch_without_sampled_tokens_has_no_values_and_no_gradient(model_path):
    policy = loaded(model_path)
    statistics = policy(batch_of([SHORT], [set()]))
    assert statistics.logprobs.tolist() == statistics.entropy.tolist() == []
    statistics.logprobs.sum().backward()
    assert all((weight.grad == 0).all() for weight in policy.parameters() if weight.grad is not None)


def test_a_row_behind_another_equals_the_same_row_alone(model_path):
    policy = loaded(model_path)
    alone = policy(batch_of([SHORT], [{2, 3}])).logprobs
    torch.testing.assert_close(policy(BATCH).logprobs[-2:], alone, atol=1e-5, rtol=0)


def test_the_reference_stays_when_the_policy_is_updated(model_path):
    policy = loaded(model_path)
    before = policy(BATCH).logprobs.detach()
    torch.testing.assert_close(policy.reference_logprobs(BATCH), before)
    optimizer = torch.optim.SGD(policy.parameters(), lr=0.1)
    policy(BATCH).logprobs.sum().backward()
    optimizer.step()
    assert policy.reference_logprobs(BATCH).equal(before)
    assert (policy(BATCH).logprobs - before).abs().max() > 0.01
    assert not any(parameter.requires_grad for parameter in policy.reference.parameters())


def test_the_reference_is_neither_saved_nor_counted_but_moves_along(model_path):
    policy = loaded(model_path)
    names = {f"model.{name}" for name in policy.model.state_dict()}
    assert set(policy.state_dict()) == names
    assert len(list(policy.parameters())) == len(list(policy.model.parameters()))
    policy.to(torch.float64)
    assert policy.reference.dtype == policy.model.dtype == torch.float64


def test_the_reference_stays_in_evaluation_mode(model_path):
    policy = loaded(model_path).train()
    assert policy.training
    assert not any(module.training for module in policy.reference.modules())


def test_a_checkpoint_replaces_the_weights_before_the_reference_is_taken(tmp_path, model_path):
    trained = AutoModelForCausalLM.from_pretrained(save_model(tmp_path / "other", seed=5))
    state = {f"policy.model.{name}": tensor for name, tensor in trained.state_dict().items()}
    torch.save({"state_dict": state, "global_step": 3}, tmp_path / "stage1.ckpt")
    policy = loaded(model_path, init_from=str(tmp_path / "stage1.ckpt"))
    expected, _ = full_statistics(trained, BATCH)
    torch.testing.assert_close(policy(BATCH).logprobs, expected, atol=1e-5, rtol=0)
    torch.testing.assert_close(policy.reference_logprobs(BATCH), expected.detach(), atol=1e-5, rtol=0)


def test_weights_are_loaded_in_the_dtype_that_was_asked_for(model_path):
    assert loaded(model_path, dtype="bfloat16").model.dtype == torch.bfloat16
    assert loaded(model_path).model.dtype == torch.float32
    assert loaded(model_path, dtype="bfloat16")(BATCH).logprobs.dtype == torch.float32


def test_dropout_is_switched_off(tmp_path):
    config = tiny_config()
    config.attention_dropout = 0.5
    Qwen2ForCausalLM(config).save_pretrained(tmp_path)
    policy = loaded(str(tmp_path)).train()
    assert policy(BATCH).logprobs.equal(policy(BATCH).logprobs)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"path": "/nowhere/model"}, "model path /nowhere/model does not exist: give the folder"),
        ({"dtype": "float8"}, "dtype='float8' must be one of auto, float32, bfloat16"),
        ({"init_from": "/nowhere/last.ckpt"}, "init_from=/nowhere/last.ckpt does not exist; give a .ckpt file"),
    ],
)
def test_a_value_that_cannot_be_used_is_named_in_one_sentence(model_path, arguments, message):
    with pytest.raises(ValueError, match=message) as raised:
        loaded(**{"path": model_path, **arguments})
    assert "\n" not in str(raised.value)


def test_a_folder_without_a_configuration_is_named(tmp_path):
    with pytest.raises(ValueError, match=r"is not a folder with a config\.json"):
        loaded(str(tmp_path))


def test_a_model_that_is_not_a_causal_language_model_is_a_user_error(tmp_path):
    T5Config().save_pretrained(tmp_path)
    with pytest.raises(ValueError, match="is a 't5' model, not a causal language model"):
        loaded(str(tmp_path))


def test_a_model_of_an_unknown_type_is_a_user_error(tmp_path):
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "no_such_model"}))
    with pytest.raises(ValueError, match="has no configuration that can be read"):
        loaded(str(tmp_path))


def test_a_corrupt_weight_file_is_named(model_path, tmp_path):
    (tmp_path / "model" / "model.safetensors").write_bytes(b"not weights")
    with pytest.raises(ValueError, match=r"the weights in .* cannot be read .*download the model again"):
        loaded(model_path)


def test_a_truncated_weight_file_is_named(model_path, tmp_path):
    weights = tmp_path / "model" / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1000])
    with pytest.raises(ValueError, match=r"the weights in .* cannot be read"):
        loaded(model_path)


def test_weights_that_lack_a_tensor_are_refused_instead_of_filled_at_random(tmp_path):
    model = Qwen2ForCausalLM(tiny_config())
    state = {name: tensor for name, tensor in model.state_dict().items() if "layers.1.mlp" not in name}
    model.save_pretrained(tmp_path, state_dict=state)
    with pytest.raises(ValueError, match=r"lack 3 tensors of Qwen2ForCausalLM, first model\.layers\.1\.mlp\.down_proj"):
        loaded(str(tmp_path))


def test_a_corrupt_checkpoint_is_named(model_path, tmp_path):
    (tmp_path / "bad.ckpt").write_bytes(b"not a checkpoint")
    with pytest.raises(ValueError, match=r"bad\.ckpt cannot be read") as raised:
        loaded(model_path, init_from=str(tmp_path / "bad.ckpt"))
    assert "\n" not in str(raised.value)


def test_a_checkpoint_of_another_model_is_named(model_path, tmp_path):
    torch.save({"state_dict": {"policy.model.other": torch.zeros(1)}}, tmp_path / "other.ckpt")
    with pytest.raises(ValueError, match=r"other\.ckpt does not fit Qwen2ForCausalLM") as raised:
        loaded(model_path, init_from=str(tmp_path / "other.ckpt"))
    assert "\n" not in str(raised.value)


def test_weights_that_give_no_numbers_are_named_as_such(model_path):
    model = load_model(model_path)
    torch.nn.init.constant_(model.model.layers[0].mlp.down_proj.weight, float("nan"))
    with pytest.raises(UserError, match=r"^the logits of Qwen2ForCausalLM are NaN or infinite: its weights are "):
        Policy(model)
