import copy
import logging

import pytest
import torch
from hand_made_batches import GROUPS, tiny_config
from other_models import other_model
from transformers import Qwen2ForCausalLM

from envtune.errors import UserError
from envtune.rollout.position_switch import require_constant_positions
from envtune.rollout.untouched import Untouched
from envtune.training.model import equality, update_pass
from envtune.training.model.policy import Policy


def ordinary() -> Qwen2ForCausalLM:
    torch.manual_seed(0)
    return Qwen2ForCausalLM(tiny_config()).eval()


def test_the_shared_path_is_taken_where_it_is_equal():
    assert Policy(ordinary()).path == "shared"


@pytest.mark.parametrize("name", ["sinks", "attention_cap", "windows", "alibi", "recurrent"])
def test_a_model_whose_attention_would_be_changed_takes_the_plain_path_and_a_line_says_why(caplog, name):
    with caplog.at_level(logging.WARNING):
        policy = Policy(other_model(name))
    assert policy.path == "plain"
    (line,) = [record.getMessage() for record in caplog.records if record.name.startswith("envtune")]
    assert "is updated on the plain path, because" in line
    assert "computed once for each of its rows" in line


def test_an_attention_that_drops_an_argument_unnoticed_is_measured(monkeypatch):
    # As if the attention of this project did not know of sinks at all.
    monkeypatch.setattr("envtune.training.model.prompt_attention.require_known_arguments", lambda arguments: None)
    with pytest.raises(UserError, match=r"on the shared path the log-probs of the update differ .* by up to \d.* nats"):
        Policy(other_model("sinks"), "shared")


def test_an_unequal_path_is_refused_by_name_if_it_is_asked_for():
    with pytest.raises(UserError, match=r"^MistralForCausalLM cannot be trained with module.policy.path=shared: .*sli"):
        Policy(other_model("windows"), "shared")


def test_a_refused_path_leaves_the_models_own_attention_installed():
    model = other_model("sinks")
    own = model.config._attn_implementation
    Policy(model)
    assert model.config._attn_implementation == own


@pytest.mark.parametrize("name", ["dropout_without_module", "router_noise", "sampled_experts"])
def test_neither_dropout_outside_of_modules_nor_noise_in_routers_changes_an_update(name):
    model = other_model(name)
    untouched = copy.deepcopy(model)
    policy = Policy(model).train()
    with torch.no_grad():
        first, second = (policy(GROUPS).logprobs for _ in range(2))
    assert first.equal(second)
    reference = Policy(untouched, "plain").reference_logprobs(GROUPS)
    torch.testing.assert_close(first, reference, atol=1e-4, rtol=0)


def checkpointed() -> Qwen2ForCausalLM:
    model = ordinary()
    model.gradient_checkpointing_enable(gradient_checkpointing_kwargs={"use_reentrant": False})
    return model


def test_noise_of_a_module_that_stays_in_training_mode_is_measured_between_two_passes():
    model = checkpointed()
    # A layer with noise of its own, and gradient checkpointing, for which it must be in training mode.
    model.model.layers[0].register_forward_hook(
        lambda module, arguments, output: output * (1 + module.training * torch.rand(output.shape))
    )
    with pytest.raises(
        UserError, match=r"shared path dropout or noise makes two of its passes in training mode differ by up to \d"
    ):
        Policy(model)


def test_gradients_are_checkpointed_although_modules_train_in_evaluation_mode():
    policy = Policy(checkpointed()).train()
    calls = []
    policy.model.model.layers[0].mlp.register_forward_pre_hook(lambda *_: calls.append(1))
    policy(GROUPS).logprobs.sum().backward()
    assert len(calls) == 2


def test_a_model_that_sees_later_tokens_is_refused():
    with pytest.raises(UserError, match="BertLMHeadModel lets a token see later ones"):
        Policy(other_model("bidirectional"))


def test_the_measurement_changes_neither_weights_nor_random_states():
    model = ordinary()
    # Draws a random number in every pass, which changes nothing.
    model.model.norm.register_forward_hook(lambda module, arguments, output: output + 0 * torch.rand(()))
    before, state = copy.deepcopy(model.state_dict()), torch.get_rng_state()
    Policy(model)
    assert torch.get_rng_state().equal(state)
    assert all(tensor.equal(before[name]) for name, tensor in model.state_dict().items())


def test_in_bfloat16_the_effect_of_rounding_is_measured(monkeypatch):
    model = ordinary().to(torch.bfloat16)
    untouched = Untouched.of(model, equality.short_group(model))
    exact = Untouched.of(copy.deepcopy(model).float(), untouched.records)
    error = (exact.logprobs - untouched.logprobs).abs().mean()
    assert error < untouched.rounding.mean() < 4 * error
    assert not exact.rounding.any()
    assert Policy(model).path == "shared"
    # Sinks are more than that.
    monkeypatch.setattr("envtune.training.model.prompt_attention.require_known_arguments", lambda arguments: None)
    assert Policy(other_model("sinks", torch.bfloat16)).path == "plain"


def test_a_soft_cap_on_logits_is_not_dropped(monkeypatch):
    assert Policy(other_model("both_caps"))._update.head == "own"
    # Not even if it were too slight to be measured at first.
    monkeypatch.setattr(Untouched, "require_equal", lambda *_: None)
    assert Policy(other_model("both_caps"))._update.head == "own"


@pytest.mark.parametrize("name", ["longrope", "dynamic_ntk"])
def test_lengths_at_which_rotary_positions_switch_are_refused_with_the_greatest_possible_one(name):
    model = other_model(name)
    require_constant_positions(model, 32)
    with pytest.raises(UserError, match=r"once it is longer than 32 tokens.* 33 here, be at most 32"):
        require_constant_positions(model, 33)


def test_shared_prompts_are_computed_with_the_heads_of_the_model(monkeypatch):
    monkeypatch.setattr(update_pass, "CPU_CHUNK", 2 * 64)
    policy = Policy(other_model("scaled_logits"))
    assert (policy.path, policy._update.head) == ("shared", "own")
