import math

import pytest
import torch
from transformers import Gemma2Config, Gemma2ForCausalLM, Qwen2Config, Qwen2ForCausalLM

from envtune.rollout.generator import Completion, Request
from envtune.rollout.hf_generator import HFGenerator

TEMPERATURE = 0.8
# Of several lengths; the first is long enough to be kept between calls, the last repeats it.
LONG = tuple(range(1, 41))
PROMPTS = (LONG, (5, 6, 7), (9,), (8, 7, 6, 5, 4, 3), LONG)


def tiny_model(seed: int = 0, attention: str = "sdpa") -> Qwen2ForCausalLM:
    torch.manual_seed(seed)
    config = Qwen2Config(
        vocab_size=64,
        hidden_size=32,
        intermediate_size=48,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        initializer_range=0.3,
        eos_token_id=None,
        bos_token_id=None,
        attn_implementation=attention,
    )
    return Qwen2ForCausalLM(config)


def generator_of(model, version: int = 0, **arguments) -> HFGenerator:
    generator = HFGenerator(**{"temperature": TEMPERATURE, **arguments})
    generator.update_weights(model, version)
    return generator


def requests_of(prompts=PROMPTS, max_new_tokens: int = 12) -> list[Request]:
    return [Request(prompt, seed, max_new_tokens) for seed, prompt in enumerate(prompts)]


@torch.no_grad()
def fresh_logprobs(model, request: Request, completion: Completion) -> torch.Tensor:
    """Log-probs of the completion from one pass over the whole sequence, without cache, padding or batch."""
    ids = torch.tensor([request.ids + completion.ids])
    distribution = (model.eval()(input_ids=ids, use_cache=False).logits / TEMPERATURE).log_softmax(-1)
    positions = torch.arange(len(request.ids), ids.shape[1])
    return distribution[0, positions - 1, ids[0, positions]]


def assert_logprobs_are_fresh(model, requests, completions):
    for request, completion in zip(requests, completions, strict=True):
        expected = fresh_logprobs(model, request, completion)
        torch.testing.assert_close(torch.tensor(completion.logprobs), expected, atol=1e-5, rtol=0)


def next_step(requests, completions, observation=(50, 51, 52)) -> list[Request]:
    """The episodes' following requests: everything so far and an observation, of a length of its own in each."""
    return [
        Request(r.ids + c.ids + observation * (1 + i % 2), r.seed + 100, r.max_new_tokens)
        for i, (r, c) in enumerate(zip(requests, completions, strict=True))
    ]


@pytest.mark.parametrize("attention", ["sdpa", "eager"])
def test_log_probs_equal_those_of_a_fresh_pass(attention):
    model = tiny_model(attention=attention)
    requests = requests_of()
    assert_logprobs_are_fresh(model, requests, generator_of(model).generate(requests))


@pytest.mark.parametrize("attention", ["sdpa", "eager"])
def test_kept_rows_give_the_completions_and_log_probs_of_a_fresh_generator(attention):
    model = tiny_model(attention=attention)
    generator = generator_of(model)
    requests = requests_of()
    for _ in range(3):
        completions = generator.generate(requests)
        fresh = generator_of(model).generate(requests)
        assert [c.ids for c in completions] == [c.ids for c in fresh]
        assert_logprobs_are_fresh(model, requests, completions)
        # Episodes leave and change places.
        requests = next_step(requests, completions)[::-1][1:]


def fed_tokens(model, action) -> int:
    """Tokens, padding included, that pass through the model's decoder during ``action``."""
    fed = []
    hook = model.model.register_forward_pre_hook(
        lambda _, args, kwargs: fed.append(kwargs["input_ids"].numel()), with_kwargs=True
    )
    action()
    hook.remove()
    return sum(fed)


def test_equal_prompts_are_fed_once():
    model = tiny_model()
    requests = [Request(LONG, seed, 1) for seed in range(4)]
    # 39 tokens of the shared prompt, then the last one for each of the four rows.
    assert fed_tokens(model, lambda: generator_of(model).generate(requests)) == 39 + 4


def test_a_following_step_feeds_only_what_is_new():
    model = tiny_model()
    generator = generator_of(model)
    first = Request(LONG, 0, 5)
    completion = generator.generate([first])[0]
    second = Request(first.ids + completion.ids + (50, 51, 52), 1, 1)
    # The fifth sampled token was never fed, the observation has three: three tokens, then the last.
    assert fed_tokens(model, lambda: generator.generate([second])) == 3 + 1


def test_a_request_that_is_repeated_feeds_only_its_last_token():
    model = tiny_model()
    generator = generator_of(model)
    generator.generate([Request(LONG, 0, 1)])
    assert fed_tokens(model, lambda: generator.generate([Request(LONG, 0, 1)])) == 1


def test_rows_not_asked_for_again_are_dropped():
    model = tiny_model()
    generator = generator_of(model)
    generator.generate([Request(LONG, 0, 1)])
    generator.generate([Request((5, 6), 0, 1)])
    assert fed_tokens(model, lambda: generator.generate([Request(LONG, 0, 1)])) == 40


def test_rows_beyond_the_cache_bound_are_not_kept():
    model = tiny_model()
    generator = generator_of(model, max_cache_tokens=40)
    generator.generate([Request(LONG, 0, 1)])
    assert fed_tokens(model, lambda: generator.generate([Request(LONG, 0, 1)])) == 40


def test_after_an_update_of_the_weights_nothing_old_is_used():
    model = tiny_model()
    generator = generator_of(model)
    requests = requests_of()
    completions = generator.generate(requests)
    model.load_state_dict(tiny_model(seed=1).state_dict())
    generator.update_weights(model, 7)
    assert generator.policy_version == 7
    following = next_step(requests, completions)
    assert_logprobs_are_fresh(model, following, generator.generate(following))


def test_the_same_seed_gives_the_same_tokens_alone_and_among_others():
    model = tiny_model()
    requests = requests_of()
    together = generator_of(model).generate(requests)
    small = generator_of(model, max_batch_size=2).generate(requests)
    for request, expected, in_twos in zip(requests, together, small, strict=True):
        alone = generator_of(model).generate([request])[0]
        assert alone.ids == in_twos.ids == expected.ids
    # The first and the last prompt are equal, their seeds are not.
    assert together[0].ids != together[-1].ids


def test_greedy_equals_the_generate_method_of_transformers():
    model = tiny_model().eval()
    requests = requests_of()
    for request, completion in zip(requests, generator_of(model).generate(requests, greedy=True), strict=True):
        prompt = torch.tensor([request.ids])
        expected = model.generate(
            prompt, attention_mask=torch.ones_like(prompt), do_sample=False, max_new_tokens=12, pad_token_id=0
        )
        assert list(completion.ids) == expected[0, len(request.ids) :].tolist()
    assert_logprobs_are_fresh(model, requests, generator_of(model).generate(requests, greedy=True))


def test_an_end_token_stops_a_row_and_is_part_of_its_completion():
    model = tiny_model()
    requests = requests_of()
    free = generator_of(model).generate(requests)
    model.generation_config.eos_token_id = [free[0].ids[3], free[1].ids[5]]
    stopped = generator_of(model).generate(requests)
    for before, after in zip(free, stopped, strict=True):
        ends = [i for i, token in enumerate(before.ids) if token in model.generation_config.eos_token_id]
        assert after.ids == (before.ids[: ends[0] + 1] if ends else before.ids)
        assert after.ended is bool(ends)
    assert stopped[0].ended
    assert len(stopped[0].ids) <= 4


def test_every_request_gets_exactly_its_number_of_tokens():
    requests = [Request(prompt, 0, limit) for prompt, limit in zip(PROMPTS, (1, 7, 3, 2, 5), strict=True)]
    completions = generator_of(tiny_model()).generate(requests)
    assert [len(c.ids) for c in completions] == [1, 7, 3, 2, 5]
    assert not any(c.ended for c in completions)


def test_finished_rows_leave_the_batch():
    model = tiny_model()
    requests = [Request((i + 1,), 0, limit) for i, limit in enumerate((1, 2, 4))]
    # Three rows in the first step, two in the second, one in the third and fourth.
    assert fed_tokens(model, lambda: generator_of(model).generate(requests)) == 3 + 2 + 1 + 1


def test_sampled_frequencies_follow_the_models_distribution():
    model = tiny_model()
    with torch.no_grad():
        logits = model.eval()(torch.tensor([[5, 6, 7]])).logits[0, -1]
    expected = (logits / TEMPERATURE).softmax(-1) * 2000
    completions = generator_of(model).generate([Request((5, 6, 7), seed, 1) for seed in range(2000)])
    drawn = torch.bincount(torch.tensor([c.ids[0] for c in completions]), minlength=64)
    likely = expected >= 5
    statistic = ((drawn - expected)[likely] ** 2 / expected[likely]).sum().item()
    # Mean k and variance 2k for k tokens: five standard deviations above the mean.
    assert statistic < likely.sum() + 5 * math.sqrt(2 * likely.sum())


def test_the_model_is_left_as_it_was_found():
    model = tiny_model().train()
    generator_of(model).generate(requests_of())
    assert model.training
    assert all(parameter.requires_grad and parameter.grad is None for parameter in model.parameters())
    model(input_ids=torch.tensor([[1, 2]])).logits.sum().backward()


def test_no_requests_give_no_completions():
    assert generator_of(tiny_model()).generate([]) == []


def test_generating_without_weights_is_refused():
    with pytest.raises(RuntimeError, match="call update_weights first"):
        HFGenerator().generate(requests_of())


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"temperature": 0.0}, r"temperature=0\.0 is not above 0; for the likeliest tokens, generate greedily"),
        ({"top_p": 0.0}, r"top_p=0\.0 is not in \(0, 1\]"),
        ({"max_batch_size": 0}, "max_batch_size=0 is below 1"),
    ],
)
def test_values_out_of_range_are_named(arguments, message):
    with pytest.raises(ValueError, match=message):
        HFGenerator(**arguments)


def test_a_model_with_sliding_windows_is_refused():
    config = Gemma2Config(vocab_size=8, hidden_size=8, intermediate_size=8, num_hidden_layers=2, head_dim=4)
    with pytest.raises(ValueError, match="Gemma2ForCausalLM has layers of sliding_attention"):
        HFGenerator().update_weights(Gemma2ForCausalLM(config), 0)


def test_a_request_without_ids_is_refused():
    with pytest.raises(ValueError, match="at least one id"):
        Request((), 0, 1)


def test_a_completion_ends_at_a_token_that_only_the_request_names():
    generator = generator_of(tiny_model())
    free = generator.generate([Request(LONG, 0, 12)])[0]
    end = free.ids[3]
    ended = generator_of(tiny_model()).generate([Request(LONG, 0, 12, (end,))])[0]
    assert ended.ids == free.ids[: free.ids.index(end) + 1]
    assert ended.ended
    assert not free.ended
