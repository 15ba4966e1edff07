import logging

import pytest
import torch
from other_models import other_model
from reference import completions, passes, plain_completion
from test_hf_generator import Talk, assert_plain, generator_of, tiny_model
from transformers import GenerationConfig

from envtune.errors import UserError
from envtune.rollout.generator import BrokenPolicy, Request
from envtune.rollout.hf.hf_generator import HFGenerator
from envtune.rollout.hf.sampler_choice import EQUAL_LENGTHS, PADDED, SHARED
from envtune.rollout.inference import end_tokens


def assert_plain_talk(model, talk: Talk) -> None:
    for requests, found in zip(talk.requests, talk.found, strict=True):
        for request, completion in zip(requests, found, strict=True):
            expected = plain_completion(model, request, 0.8, end_tokens(model))
            assert completion.ids == expected.ids
            assert completion.logprobs == pytest.approx(expected.logprobs, abs=1e-4)


@pytest.mark.parametrize("name", ["sinks", "both_caps", "windows", "alibi", "recurrent"])
def test_tokens_and_log_probs_of_other_models_equal_the_reference(name):
    model = other_model(name)
    assert_plain_talk(model, Talk(steps=2, max_new_tokens=4).play(generator_of(model)))


@pytest.mark.parametrize("max_batch_size", [1, 3, 64])
def test_a_token_depends_on_its_request_not_on_the_batch(max_batch_size):
    model = tiny_model()
    generator = generator_of(model, path="plain", max_batch_size=max_batch_size)
    assert generator._way == PADDED
    assert_plain_talk(model, Talk(steps=2).play(generator))


def test_the_shared_way_is_taken_where_it_is_equal_and_a_line_says_so_otherwise(caplog):
    assert generator_of(tiny_model())._way == SHARED
    with caplog.at_level(logging.WARNING):
        generator_of(other_model("windows"))
    (line,) = caplog.messages
    assert line.startswith("MistralForCausalLM is sampled on the plain path, because it has layers of sliding_att")
    assert "in padded batches" in line


def test_sinks_that_the_sampler_would_drop_are_measured(monkeypatch):
    monkeypatch.setattr("envtune.rollout.hf.kv_attention.require_known_arguments", lambda arguments: None)
    with pytest.raises(UserError, match=r"shared: its log-probs differ from those of the untouched model by up to \d"):
        generator_of(other_model("sinks"), path="shared")


def test_where_padding_changes_a_row_only_equal_lengths_are_sampled_together(monkeypatch):
    model = tiny_model()
    forward = model.forward

    # As in a model without a mask: padding is seen.
    def unmasked(input_ids, attention_mask=None, **arguments):
        return forward(input_ids=input_ids, **arguments)

    monkeypatch.setattr(model, "forward", unmasked)
    generator = generator_of(model, path="plain")
    assert generator._way == EQUAL_LENGTHS
    requests = [Request(ids, seed, 2) for seed, ids in enumerate([(5, 6, 7), (8, 9), (7, 6, 5)])]
    found = []
    fed = passes(model, lambda: found.extend(completions(generator, requests)))
    # Both rows of three tokens, then that of two.
    assert fed[::2] == [6, 2]
    assert_plain(model, requests, found)


def test_end_tokens_and_limits_end_each_row_by_itself():
    model = tiny_model()
    generator = generator_of(model, path="plain")
    free = completions(generator, [Request((5, 6, 7), 0, 12), Request((9,), 1, 5)])
    assert [len(completion.ids) for completion in free] == [12, 5]
    end = free[0].ids[3]
    ended, other = completions(generator, [Request((5, 6, 7), 0, 12, (end,)), Request((9,), 1, 5)])
    assert ended.ids == free[0].ids[: free[0].ids.index(end) + 1]
    assert ended.ended
    assert other == free[1]


def test_the_generation_config_of_the_model_changes_no_token():
    model = tiny_model()
    requests = [Request((5, 6, 7), 0, 12)]
    free = completions(generator_of(model, path="plain"), requests)
    model.generation_config = GenerationConfig(repetition_penalty=5.0, do_sample=True, top_k=1, min_new_tokens=3)
    assert completions(generator_of(model, path="plain"), requests) == free
    assert model.generation_config.repetition_penalty == 5.0


def test_a_batch_stays_within_cache_and_window():
    model = tiny_model()
    model.config.max_position_embeddings = 20
    generator = generator_of(model, path="plain", max_cache_tokens=30)
    # Ten tokens each: three rows in 30. The row of 12 would carry the others beyond 20.
    requests = [Request((number,), number, 9) for number in range(3, 8)] + [Request(tuple(range(3, 15)), 0, 2)]
    shapes = []
    model.register_forward_pre_hook(
        lambda module, args, kwargs: shapes.append(kwargs["input_ids"].shape[0]), with_kwargs=True
    )
    completions(generator, requests)
    assert shapes[0] == 3
    assert max(shapes) == 3


def test_damaged_weights_are_a_broken_policy_on_the_plain_path():
    model = tiny_model()
    generator = generator_of(model, version=12, path="plain")
    torch.nn.init.constant_(model.lm_head.weight, float("nan"))
    with pytest.raises(BrokenPolicy, match=r"^the policy after update 12 gives logits"):
        generator.run([Request((5,), 0, 2)], lambda *_: None)


def test_sampling_leaves_the_mode_of_every_module():
    model = tiny_model().eval()
    model.model.layers[0].training = True
    for path in ("shared", "plain"):
        completions(generator_of(model, path=path), [Request((5,), 0, 2)])
        assert [name for name, module in model.named_modules() if module.training] == ["model.layers.0"]


def test_a_path_that_does_not_exist_is_named():
    with pytest.raises(ValueError, match=r"path='fast' must be one of"):
        HFGenerator(path="fast")
