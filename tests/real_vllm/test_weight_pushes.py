"""vLLM samples from the trainer's newest weights, and differences are detected."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from small_engine import small_generator, small_model, take_a_small_step, trainer_logprobs
from talk import LONG, PROMPTS, Talk
from transformers import PreTrainedModel

from envtune.rollout.generator import Completion, Request
from envtune.rollout.merged_weights import write_merged_weights
from envtune.rollout.vllm import vllm_generator
from envtune.rollout.vllm.engine import EngineError
from envtune.rollout.vllm.own_engine import OwnEngine
from envtune.rollout.vllm.vllm_generator import VLLMGenerator


@pytest.fixture(scope="module", params=[False, True], ids=["untied", "tied"])
def sampler(request: pytest.FixtureRequest) -> Iterator[tuple[PreTrainedModel, VLLMGenerator]]:
    """A model and a generator with its weights."""
    model, generator = small_model(request.param), small_generator()
    generator.update_weights(model, 0)
    yield model, generator
    generator.engine.close()


def change_all_weights(model: PreTrainedModel, seed: int) -> None:
    model.load_state_dict(small_model(model.config.tie_word_embeddings, seed).state_dict())


def test_log_probs_are_the_trainers_after_every_push(sampler):
    model, generator = sampler
    for version in range(3):
        change_all_weights(model, version)
        generator.update_weights(model, version)
        # Equal prompts each time, which the prefix cache contains for the old weights.
        assert Talk().play(generator).largest_difference(model) < 1e-4
        assert generator.policy_version == version


def test_a_prefix_cache_of_old_weights_is_detected(sampler, monkeypatch):
    model, generator = sampler
    generator.update_weights(model, 5)
    change_all_weights(model, 6)
    with monkeypatch.context() as patch:
        patch.setattr(OwnEngine, "reset_cache", lambda engine: None)
        with pytest.raises(EngineError, match="does not compute with the trainer's weights of policy version 6"):
            generator.update_weights(model, 6)
    generator.update_weights(model, 6)
    assert Talk().play(generator).largest_difference(model) < 1e-4


def test_a_lost_push_of_a_small_step_is_detected(sampler, monkeypatch):
    model, generator = sampler
    generator.update_weights(model, 7)
    take_a_small_step(model)
    with monkeypatch.context() as patch:
        patch.setattr(OwnEngine, "load", lambda engine, folder, dtype: None)
        with pytest.raises(EngineError, match=r"trainer's weights of policy version 8: they differ in .* and 2 more"):
            generator.update_weights(model, 8)
        # The log-probs of the probes do not show it.
        patch.setattr(vllm_generator, "differing_layers", lambda *_: [])
        generator.update_weights(model, 8)
    generator.update_weights(model, 8)


@pytest.mark.parametrize(
    ("name", "place"),
    [
        ("model.layers.1.self_attn.k_proj.bias", "layer 1;"),
        ("model.layers.0.mlp.up_proj.weight", "layer 0;"),
        ("model.layers.1.input_layernorm.weight", "layer 1;"),
        ("model.norm.weight", "embedding, last norm or head;"),
    ],
)
def test_a_single_weight_that_was_not_pushed_is_detected(sampler, monkeypatch, name: str, place: str):
    model, generator = sampler
    generator.update_weights(model, 7)
    old = model.get_parameter(name).clone()
    take_a_small_step(model)
    new = model.get_parameter(name).clone()

    def write_with_an_old_one(model: PreTrainedModel, dtype: torch.dtype, folder: Path | None) -> dict[str, int]:
        model.get_parameter(name).data.copy_(old)
        write_merged_weights(model, dtype, folder)
        model.get_parameter(name).data.copy_(new)
        return write_merged_weights(model, dtype, None)

    with monkeypatch.context() as patch:
        patch.setattr(vllm_generator, "write_merged_weights", write_with_an_old_one)
        with pytest.raises(EngineError, match=f"policy version 8: they differ in {place}"):
            generator.update_weights(model, 8)


def test_completions_of_another_runs_weights_are_refused(sampler):
    model, generator = sampler
    generator.update_weights(model, 7)
    generator.engine.set_weight_version("another run's")
    with pytest.raises(EngineError, match="sampled with weights that this run did not push last"):
        Talk().play(generator)


def test_a_completion_depends_only_on_its_prompt_and_seed(sampler):
    model, generator = sampler
    generator.update_weights(model, 9)
    together, again, alone = Talk().play(generator), Talk().play(generator), []
    generator.run([Request(PROMPTS[1], 1, 12)], lambda _, completion: alone.append(completion))
    assert [[c.ids for c in found] for found in together.found] == [[c.ids for c in found] for found in again.found]
    assert alone[0].ids == together.found[1][0].ids
    # The first and the third sequence have equal prompts.
    assert together.found[0][0].ids != together.found[2][0].ids


def test_a_step_computes_its_new_tokens_and_a_partial_block(sampler):
    model, generator = sampler
    generator.update_weights(model, 10)
    before = generator.fed_tokens
    requests = [Request(LONG, 0, 12)]
    found: list[Completion] = []

    def advance(number: int, completion: Completion) -> Request | None:
        found.append(completion)
        if len(found) == 3:
            return None
        requests.append(Request(requests[-1].ids + completion.ids + (50, 51, 52), len(found), 12))
        return requests[-1]

    generator.run(requests[:1], advance)
    # 140 tokens and 11 of 12 sampled ones; then whole blocks of 32 are cached: 128 of 155 tokens, 160 of 170.
    assert generator.fed_tokens - before == (140 + 11) + (155 - 128 + 11) + (170 - 160 + 11)


def test_prompts_beyond_one_pass_wait_for_the_next(sampler):
    model, generator = sampler
    generator.update_weights(model, 14)
    # 4,000 tokens; a pass takes 2,048.
    requests = [Request((number, *range(1, 400), *range(1, 101)), number, 4) for number in range(8)]
    found: dict[int, Completion] = {}
    generator.run(requests, lambda number, completion: found.update({number: completion}))
    for number, request in enumerate(requests):
        assert found[number].logprobs == pytest.approx(trainer_logprobs(model, request, found[number]), abs=1e-4)


def test_short_steps_do_not_wait_for_a_long_completion(sampler):
    _, generator = sampler
    order: list[int] = []

    def advance(number: int, completion: Completion) -> Request | None:
        order.append(number)
        return Request((1, 2, len(order)), 0, 2) if number == 0 and len(order) < 4 else None

    generator.run([Request((1, 2, 3), 0, 2), Request((4, 5, 6), 1, 400)], advance)
    assert order == [0, 0, 0, 0, 1]


def test_completions_end_at_the_models_end_tokens_and_the_requests(sampler):
    model, generator = sampler
    found: list[Completion] = []
    keep = lambda _, completion: found.append(completion)  # noqa: E731
    generator.run([Request(LONG, 3, 12)], keep)
    model.generation_config.eos_token_id = found[0].ids[5]
    generator.update_weights(model, 11)
    model.generation_config.eos_token_id = None
    generator.run([Request(LONG, 3, 12)], keep)
    generator.run([Request(LONG, 3, 12, (found[0].ids[2],))], keep)
    free, by_model, by_request = (completion.ids for completion in found)
    assert by_model == free[: free.index(free[5]) + 1]
    assert by_request == free[: min(free.index(free[2]), free.index(free[5])) + 1]
    assert [completion.ended for completion in found] == [False, True, True]


def test_greedy_completions_take_the_likeliest_token(sampler):
    model, generator = sampler
    generator.update_weights(model, 12)
    found: list[Completion] = []
    generator.run([Request(LONG, 3, 6)], lambda _, completion: found.append(completion), greedy=True)
    with torch.no_grad():
        logits = model.eval()(torch.tensor([LONG + found[0].ids])).logits[0]
    assert logits[len(LONG) - 1 : -1].argmax(-1).tolist() == list(found[0].ids)


def test_an_error_in_advance_ends_the_run_but_not_the_engine(sampler):
    model, generator = sampler

    def advance(number: int, completion: Completion) -> None:
        raise ValueError(f"sequence {number} fails")

    with pytest.raises(ValueError, match="sequence 0 fails"):
        generator.run([Request((1, 2), 0, 2), Request((3, 4), 1, 400)], advance)
    generator.update_weights(model, 13)
    assert Talk().play(generator).largest_difference(model) < 1e-4
