from __future__ import annotations

import math
import threading
import time
from collections import deque

import pytest
import torch
from reference import completions, passes, plain_completion
from transformers import Qwen2Config, Qwen2ForCausalLM

from envtune.errors import UserError
from envtune.rollout.generator import BrokenPolicy, Completion, Request
from envtune.rollout.hf import prefix_cache, running_batch
from envtune.rollout.hf.hf_generator import HFGenerator
from envtune.rollout.hf.kv_rows import KvRows

TEMPERATURE = 0.8
# Different lengths; the last equals the first.
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


def sequences(*steps: tuple[Request, ...]):
    """Return the first requests, an ``advance`` that returns the others, and the list of all completions."""
    left = [deque(requests[1:]) for requests in steps]
    found: list[list[Completion]] = [[] for _ in steps]

    def advance(number: int, completion: Completion) -> Request | None:
        found[number].append(completion)
        return left[number].popleft() if left[number] else None

    return [requests[0] for requests in steps], advance, found


class Talk:
    """Sequences of several steps, with observations of different lengths after the completions.

    ``requests[number]`` and ``found[number]`` are the requests and completions of each sequence.
    """

    def __init__(self, prompts=PROMPTS, steps: int = 3, max_new_tokens: int = 8) -> None:
        self.requests = [[Request(prompt, number, max_new_tokens)] for number, prompt in enumerate(prompts)]
        self.found: list[list[Completion]] = [[] for _ in prompts]
        self._steps = steps

    def play(self, generator, greedy: bool = False) -> Talk:
        generator.run([requests[0] for requests in self.requests], self.advance, greedy)
        return self

    def advance(self, number: int, completion: Completion) -> Request | None:
        requests = self.requests[number]
        self.found[number].append(completion)
        if len(requests) == self._steps:
            return None
        last = requests[-1]
        observation = (50, 51, 52) * (1 + number % 3)
        # Some steps are shorter than others.
        limit = 3 + (number + len(requests)) % 6
        requests.append(Request(last.ids + completion.ids + observation, last.seed + 100, limit))
        return requests[-1]

    @property
    def length(self) -> int:
        """Tokens of all sequences, without the last token of each."""
        return sum(len(r[-1].ids) + len(c[-1].ids) - 1 for r, c in zip(self.requests, self.found, strict=True))


def assert_plain(model, requests, completions, stop_ids=(), greedy=False):
    """Compare with the reference: equal tokens, log-probs to 1e-5 nats."""
    for request, completion in zip(requests, completions, strict=True):
        expected = plain_completion(model, request, TEMPERATURE, stop_ids, greedy)
        assert (completion.ids, completion.ended) == (expected.ids, expected.ended)
        assert completion.logprobs == pytest.approx(expected.logprobs, abs=1e-5)


def assert_all_plain(model, talk: Talk):
    for requests, found in zip(talk.requests, talk.found, strict=True):
        assert_plain(model, requests, found)


@pytest.mark.parametrize("attention", ["sdpa", "eager"])
@pytest.mark.parametrize("greedy", [False, True], ids=["sampled", "greedy"])
def test_tokens_and_log_probs_equal_the_reference(attention, greedy):
    model = tiny_model(attention=attention)
    requests = requests_of()
    assert_plain(model, requests, completions(generator_of(model), requests, greedy), greedy=greedy)


@pytest.mark.parametrize("max_batch_size", [1, 2, 3, 64])
def test_sequences_equal_the_reference_for_any_batch_size(max_batch_size):
    model = tiny_model()
    talk = Talk().play(generator_of(model, max_batch_size=max_batch_size))
    assert [len(found) for found in talk.found] == [3] * len(PROMPTS)
    assert_all_plain(model, talk)


@pytest.mark.parametrize("pass_tokens", [1, 7, 20])
def test_the_size_of_passes_is_bounded_and_changes_no_token(monkeypatch, pass_tokens):
    model = tiny_model()
    for module in (prefix_cache, running_batch):
        monkeypatch.setattr(module, "PASS_TOKENS", pass_tokens)
    talk, generator = Talk(), generator_of(model)
    fed = passes(model, lambda: talk.play(generator))
    assert_all_plain(model, talk)
    # At most so many new tokens (or one longer observation of up to 9), and one for each of the five sequences.
    assert max(fed) <= max(pass_tokens, 10) + 5


@pytest.mark.parametrize("max_batch_size", [1, 2, 64])
def test_no_token_is_fed_twice(max_batch_size):
    model = tiny_model()
    talk, generator = Talk(), generator_of(model, max_batch_size=max_batch_size)
    fed = passes(model, lambda: talk.play(generator))
    # The last sampled token of a sequence is never fed.
    once = talk.length
    if max_batch_size == 64:
        # The first and the last sequence share a prompt of 40 tokens and run at the same time.
        once -= len(LONG)
    assert sum(fed) == generator.fed_tokens == once


def test_sequences_of_a_group_share_a_prompt_even_one_after_another():
    model = tiny_model()
    requests = [Request(LONG, seed, 3) for seed in range(4)]
    generator = generator_of(model, max_batch_size=1)
    # 40 tokens of the prompt, and in each of four rows all sampled tokens except the last.
    assert sum(passes(model, lambda: completions(generator, requests))) == 40 + 4 * 2


def test_a_prefix_is_copied_from_another_prompt():
    model = tiny_model()
    requests = [Request(LONG, 0, 4), Request((*LONG[:30], 60, 61), 1, 4)]
    found: list[Completion] = []
    generator = generator_of(model)
    fed = passes(model, lambda: found.extend(completions(generator, requests)))
    assert sum(fed[:2]) == 40 + 2
    assert_plain(model, requests, found)


def test_every_step_feeds_one_token_per_running_row():
    model = tiny_model()
    # Each prompt has its own pass for the first token; two rows sample a second token, one a third and fourth.
    requests = [Request((i + 1,), 0, limit) for i, limit in enumerate((1, 2, 4))]
    generator = generator_of(model)
    assert passes(model, lambda: completions(generator, requests)) == [1, 1, 1, 2, 1, 1]


def test_a_waiting_sequence_starts_when_a_slot_is_free():
    model = tiny_model()
    requests = [Request((i + 1,), 0, limit) for i, limit in enumerate((6, 2, 3))]
    generator = generator_of(model, max_batch_size=2)
    fed = passes(model, lambda: completions(generator, requests))
    # Two prompts; both sequences, which completes the second; the first alone until the result for the second, which
    # ends it; the third prompt; the third sequence beside the first, to the end of both.
    assert fed == [1, 1, 2, 1, 1, 1, 2, 2]


def test_an_observation_is_fed_in_the_pass_of_the_other_sequences():
    model = tiny_model()
    first, advance, found = sequences((Request((1,), 0, 7),), (Request((2,), 1, 1),))
    second: list[Request] = []

    def observe(number: int, completion: Completion) -> Request | None:
        if number == 0 or second:
            return advance(number, completion)
        found[1].append(completion)
        second.append(Request((2, *completion.ids, 50, 51, 52), 2, 2))
        return second[0]

    generator = generator_of(model)
    fed = passes(model, lambda: generator.run(first, observe))
    # Both prompts; the first sequence alone until the second's observation; the second's sampled token and three
    # observed ones beside the first's; both; the first alone up to seven tokens.
    assert fed == [1, 1, 1, 1 + 4, 1 + 1, 1, 1, 1]
    assert_plain(model, second, found[1][1:])


def test_a_request_that_does_not_extend_its_sequence_starts_a_new_one():
    model = tiny_model()
    # The second is longer than the first with its completion, the third is shorter.
    steps = (Request(LONG, 0, 4), Request((*LONG[:20], *range(30, 60)), 1, 4), Request((7, 8), 2, 4))
    first, advance, found = sequences(steps)
    generator_of(model).run(first, advance)
    assert_plain(model, steps, found[0])


def test_rows_of_ended_sequences_are_reused():
    model = tiny_model()
    sizes: list[int] = []
    generator = generator_of(model, max_batch_size=2)
    requests = [Request((i + 1, i + 2), i, 3) for i in range(12)]
    write = KvRows.write

    def watched(rows, *arguments):
        write(rows, *arguments)
        sizes.append(rows.keys[0].shape[0])

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(KvRows, "write", watched)
        assert_plain(model, requests, completions(generator, requests))
    # Two rows of tails; of prompts, one more stays cached.
    assert max(sizes) <= 4


@pytest.mark.parametrize("max_cache_tokens", [1, 60, 110, 200])
def test_a_small_cache_changes_no_token(max_cache_tokens):
    model = tiny_model()
    talk, generator = Talk(), generator_of(model, max_cache_tokens=max_cache_tokens)
    talk.play(generator)
    assert_all_plain(model, talk)
    assert generator.fed_tokens >= talk.length - len(LONG)


@pytest.mark.parametrize("max_cache_tokens", [220, 300, 400])
def test_the_cache_stays_within_its_limit_with_several_sequences(monkeypatch, max_cache_tokens):
    # Its way of sampling is measured at its first weights, before the cache is watched.
    generator = generator_of(tiny_model(), max_cache_tokens=max_cache_tokens)
    allocated: dict[KvRows, int] = {}
    most = 0
    write = KvRows.write

    def watched(rows, *arguments):
        nonlocal most
        write(rows, *arguments)
        allocated[rows] = rows.keys[0].shape[0] * rows.keys[0].shape[2]
        most = max(most, sum(allocated.values()))

    monkeypatch.setattr(KvRows, "write", watched)
    # Many prompts, so that prompts and tails both grow.
    prompts = [tuple(range(i, i + 12)) for i in range(20)]
    Talk(prompts).play(generator)
    assert max_cache_tokens / 2 < most <= max_cache_tokens


def test_cached_states_do_not_survive_a_weight_update():
    model = tiny_model()
    generator = generator_of(model)
    Talk().play(generator)
    model.load_state_dict(tiny_model(seed=1).state_dict())
    generator.update_weights(model, 7)
    assert generator.policy_version == 7
    assert_all_plain(model, Talk().play(generator))


def test_an_error_in_advance_ends_the_run_and_is_raised():
    calls = []

    def advance(number: int, completion: Completion) -> None:
        calls.append(number)
        raise UserError(f"sequence {number} fails")

    generator = generator_of(tiny_model())
    with pytest.raises(UserError, match="sequence 1 fails"):
        generator.run([Request((5,), 0, 12), Request((6,), 0, 2)], advance)
    assert calls == [1]
    assert not any(thread.name.startswith("environment") for thread in threading.enumerate())
    # The generator remains usable.
    assert_plain(generator._model, [Request((5,), 0, 3)], completions(generator, [Request((5,), 0, 3)]))


def test_other_sequences_are_sampled_while_a_tool_runs():
    model = tiny_model()
    decoded = threading.Event()
    hook = model.register_forward_hook(lambda *_: decoded.set() if waiting.is_set() else None)
    waiting = threading.Event()
    overlapped = []

    def advance(number: int, completion: Completion) -> None:
        if number == 1:
            waiting.set()
            overlapped.append(decoded.wait(timeout=20))

    generator_of(model).run([Request((5,), 0, 6), Request((6,), 0, 1)], advance)
    hook.remove()
    assert overlapped == [True]


def test_the_duration_of_a_tool_changes_no_pass():
    model = tiny_model()

    def fed(seconds: float) -> list[int]:
        talk = Talk()

        def advance(number: int, completion: Completion) -> Request | None:
            time.sleep(seconds * (number % 2))
            return talk.advance(number, completion)

        first = [requests[0] for requests in talk.requests]
        generator = generator_of(model, max_batch_size=3)
        return passes(model, lambda: generator.run(first, advance))

    assert fed(0.0) == fed(0.02)


def test_an_end_token_ends_a_completion_and_is_part_of_it():
    model = tiny_model()
    requests = requests_of()
    free = completions(generator_of(model), requests)
    ends = [free[0].ids[3], free[1].ids[5]]
    model.generation_config.eos_token_id = ends
    stopped = completions(generator_of(model), requests)
    assert_plain(model, requests, stopped, stop_ids=ends)
    assert stopped[0].ended
    assert len(stopped[0].ids) <= 4


def test_without_end_tokens_completions_have_the_maximal_length():
    requests = [Request(prompt, 0, limit) for prompt, limit in zip(PROMPTS, (1, 7, 3, 2, 5), strict=True)]
    found = completions(generator_of(tiny_model()), requests)
    assert [len(c.ids) for c in found] == [1, 7, 3, 2, 5]
    assert not any(c.ended for c in found)


def test_sampled_frequencies_follow_the_models_distribution():
    model = tiny_model()
    with torch.no_grad():
        logits = model.eval()(torch.tensor([[5, 6, 7]])).logits[0, -1]
    expected = (logits / TEMPERATURE).softmax(-1) * 2000
    found = completions(generator_of(model), [Request((5, 6, 7), seed, 1) for seed in range(2000)])
    drawn = torch.bincount(torch.tensor([c.ids[0] for c in found]), minlength=64)
    likely = expected >= 5
    statistic = ((drawn - expected)[likely] ** 2 / expected[likely]).sum().item()
    # Chi-squared with k tokens has mean k and variance 2k; the limit is five standard deviations above the mean.
    assert statistic < likely.sum() + 5 * math.sqrt(2 * likely.sum())


def test_sampling_leaves_the_model_unchanged():
    model = tiny_model().train()
    completions(generator_of(model), requests_of())
    assert model.training
    assert all(parameter.requires_grad and parameter.grad is None for parameter in model.parameters())
    model(input_ids=torch.tensor([[1, 2]])).logits.sum().backward()


@pytest.mark.parametrize("greedy", [True, False])
def test_nan_logits_raise_an_error_with_the_policy_version_and_a_remedy(greedy):
    model = tiny_model()
    generator = generator_of(model, version=12)
    torch.nn.init.constant_(model.lm_head.weight, math.nan)
    with pytest.raises(BrokenPolicy, match=r"^the policy after update 12 gives logits .* lower optimizer.lr, or "):
        generator.run(requests_of(), lambda *_: None, greedy)


def test_no_requests_give_no_completions():
    assert completions(generator_of(tiny_model()), []) == []


def test_sampling_without_weights_is_refused():
    with pytest.raises(RuntimeError, match="call update_weights first"):
        completions(HFGenerator(), requests_of())


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"temperature": 0.0}, r"temperature=0\.0 must be a number above 0: .* greedily"),
        ({"top_p": 0.0}, r"top_p=0\.0 must be a number above 0 and of at most 1"),
        ({"max_batch_size": 0}, "max_batch_size=0 must be a whole number of at least 1"),
    ],
)
def test_values_out_of_range_are_named(arguments, message):
    with pytest.raises(ValueError, match=message):
        HFGenerator(**arguments)


def test_a_request_without_ids_is_refused():
    with pytest.raises(ValueError, match="at least one id"):
        Request((), 0, 1)


def test_end_ids_of_a_request_end_its_completion():
    generator = generator_of(tiny_model())
    free = completions(generator, [Request(LONG, 0, 12)])[0]
    ended = completions(generator, [Request(LONG, 0, 12, (free.ids[3],))])[0]
    assert ended.ids == free.ids[: free.ids.index(free.ids[3]) + 1]
    assert ended.ended
    assert not free.ended
