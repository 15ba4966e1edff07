from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
import torch
from toy_world import (
    ANSWER,
    DOCUMENTS,
    IDLE,
    LS,
    MKDIR,
    PERFECT,
    STYLE,
    TWICE,
    ScriptedGenerator,
    always,
    toy_collector,
    toy_model,
    toy_task,
)

from envtune.chat.template import Template
from envtune.environment.augmentation.actionable import Actionable
from envtune.environment.augmentation.annealed import Annealed
from envtune.environment.episode import NEXT_MESSAGE
from envtune.errors import UserError
from envtune.rollout.collector import EpisodeRequest
from envtune.rollout.generator import Request
from envtune.rollout.hf.hf_generator import HFGenerator
from envtune.trajectory import EpisodeEnd, FormatError, FormatFault, TokenRecord, TurnEnd


def sampled_runs(tokens: TokenRecord) -> list[tuple[list[int], list[float]]]:
    """Return ids and log-probs of each run of sampled tokens."""
    positions = itertools.groupby(range(len(tokens.ids)), key=tokens.completion_mask.__getitem__)
    runs = [list(run) for sampled, run in positions if sampled]
    return [([tokens.ids[i] for i in run], [tokens.logprobs[i] for i in run]) for run in runs]


def mixed_script(users: Sequence[str], seed: int) -> str:
    """Solve task 0, only answer in the others."""
    return (PERFECT if users[0].startswith("Task 0:") else IDLE)[len(users) - 1]


def test_sampled_ids_and_log_probs_are_recorded_unchanged_between_environment_ids(tokenizer: Any):
    generator = ScriptedGenerator(tokenizer, always(PERFECT))
    tokens = toy_collector(tokenizer, generator).play([EpisodeRequest(toy_task(), 3)])[0].tokens
    assert tokens is not None
    completions = [[*tokenizer.encode(said), tokenizer.eos_token_id] for said in PERFECT]
    assert sampled_runs(tokens) == [(ids, [-(i + 1) / 64 for i in range(len(ids))]) for ids in completions]

    template = Template(tokenizer, STYLE)
    opening = template.open("Task 0: make a.", DOCUMENTS)
    texts = ["[1] mkdir: None", "What is here?", '[1] ls: {"current_directory_content": ["a"]}']
    fed = [opening, *(template.append(text) for text in texts)]
    pairs = zip(fed, completions, strict=True)
    assert list(tokens.ids) == [id_ for said, completion in pairs for id_ in (*said, *completion)]
    assert tokens.prompt_length == len(opening)
    assert all(p == 0.0 for p, sampled in zip(tokens.logprobs, tokens.completion_mask, strict=True) if not sampled)


def test_every_prompt_is_a_prefix_of_the_recorded_ids(tokenizer: Any):
    generator = ScriptedGenerator(tokenizer, always(PERFECT))
    tokens = toy_collector(tokenizer, generator).play([EpisodeRequest(toy_task(), 3)])[0].tokens
    assert tokens is not None
    edges = zip((False, *tokens.completion_mask), tokens.completion_mask, strict=False)
    starts = [i for i, (before, now) in enumerate(edges) if now and not before]
    assert [call[0].ids for call in generator.calls] == [tokens.ids[:start] for start in starts]


def test_a_clipped_completion_is_closed_by_an_end_token_outside_the_mask(tokenizer: Any):
    generator = ScriptedGenerator(tokenizer, always((MKDIR, ANSWER, ANSWER)))
    trajectory = toy_collector(tokenizer, generator, max_completion_tokens=20).play([EpisodeRequest(toy_task(), 3)])[0]
    tokens = trajectory.tokens
    assert tokens is not None
    end = tokens.prompt_length + 20
    assert list(tokens.ids[tokens.prompt_length : end]) == tokenizer.encode(MKDIR)[:20]
    assert tokens.ids[end] == tokenizer.eos_token_id
    assert tokens.completion_mask[end - 1 : end + 1] == (True, False)
    assert [step.clipped for step in trajectory.steps] == [True, False, False]
    assert isinstance(trajectory.steps[0].action, FormatError)
    assert trajectory.steps[0].action.fault is FormatFault.TOO_LONG


def test_the_last_completion_is_limited_by_the_remaining_token_budget(tokenizer: Any):
    generator = ScriptedGenerator(tokenizer, always((MKDIR, LS)))
    trajectory = toy_collector(tokenizer, generator, max_response_tokens=70).play([EpisodeRequest(toy_task(), 3)])[0]
    observed = len(Template(tokenizer, STYLE).append("[1] mkdir: None"))
    said = len(tokenizer.encode(MKDIR)) + 1
    assert generator.calls[1][0].max_new_tokens == 70 - said - observed
    assert trajectory.end is EpisodeEnd.TOKEN_LIMIT
    assert [turn.end for turn in trajectory.turns] == [TurnEnd.TOKEN_LIMIT]
    assert trajectory.tokens is not None
    assert len(trajectory.tokens.ids) == trajectory.tokens.prompt_length + 70


def test_an_observation_that_exhausts_the_token_budget_truncates_the_episode(tokenizer: Any):
    generator = ScriptedGenerator(tokenizer, always(PERFECT))
    said = len(tokenizer.encode(MKDIR)) + 1
    trajectory = toy_collector(tokenizer, generator, max_response_tokens=said).play([EpisodeRequest(toy_task(), 3)])[0]
    assert trajectory.end is EpisodeEnd.TOKEN_LIMIT
    assert len(generator.calls) == 1
    assert trajectory.tokens is not None
    assert len(trajectory.tokens.ids) == trajectory.tokens.prompt_length + said


def test_the_step_limit_ends_an_episode_if_so_chosen(tokenizer: Any):
    collector = toy_collector(tokenizer, ScriptedGenerator(tokenizer, always((LS, LS, LS))), at_step_limit="end")
    (trajectory,) = collector.play([EpisodeRequest(toy_task(), 3)])
    assert trajectory.end is EpisodeEnd.STEP_LIMIT
    assert len(trajectory.steps) == 3


def test_the_step_limit_ends_a_turn_and_the_next_message_follows_the_results(tokenizer: Any):
    generator = ScriptedGenerator(tokenizer, always((LS, LS, MKDIR, LS, ANSWER)))
    collector = toy_collector(tokenizer, generator, at_step_limit="next_turn")
    (trajectory,) = collector.play([EpisodeRequest(toy_task(), 3)])
    assert [turn.end for turn in trajectory.turns] == [TurnEnd.STEP_LIMIT, TurnEnd.ANSWERED]
    assert [len(turn.steps) for turn in trajectory.turns] == [3, 2]
    assert trajectory.success
    read = tokenizer.decode(generator.calls[3][0].ids)
    assert read.endswith(
        f"<|im_start|>user\n[1] mkdir: None\n\n{NEXT_MESSAGE}\nWhat is here?<|im_end|>\n<|im_start|>assistant\n"
    )


def test_what_the_step_limit_ends_is_one_of_two_choices(tokenizer: Any):
    with pytest.raises(UserError, match="at_step_limit='stop' must be one of next_turn, end"):
        toy_collector(tokenizer, ScriptedGenerator(tokenizer, always(IDLE)), at_step_limit="stop")


def test_a_prompt_that_is_too_long_is_refused(tokenizer: Any):
    length = len(Template(tokenizer, STYLE).open("Task 7: make a.", DOCUMENTS))
    generator = ScriptedGenerator(tokenizer, always(PERFECT))
    exact = toy_collector(tokenizer, generator, max_prompt_tokens=length)
    assert exact.play([EpisodeRequest(toy_task(7), 0)])[0].success
    short = toy_collector(tokenizer, generator, max_prompt_tokens=length - 1)
    with pytest.raises(
        UserError, match=f"toy_7 has {length} tokens, rollout.max_prompt_tokens={length - 1} .*raise it"
    ):
        short.play([EpisodeRequest(toy_task(7), 0)])


def requests_by_task(tokenizer: Any, tasks: list[EpisodeRequest], max_episodes: int) -> dict[str, list[Request]]:
    """Return the generator's requests in the order of the steps, by the first word of the task's message."""
    generator = ScriptedGenerator(tokenizer, mixed_script)
    toy_collector(tokenizer, generator, max_episodes=max_episodes).play(tasks)
    by_task: dict[str, list[Request]] = {}
    for request in itertools.chain(*generator.calls):
        name = tokenizer.decode(request.ids).split("<|im_start|>user\n")[1].split(":")[0]
        by_task.setdefault(name, []).append(request)
    assert max(map(len, generator.calls)) <= max_episodes
    return by_task


def test_requests_depend_only_on_the_episodes_seed_and_step(tokenizer: Any):
    tasks = [EpisodeRequest(toy_task(number), seed=100 + number) for number in range(4)]
    together = requests_by_task(tokenizer, tasks, max_episodes=64)
    assert together == requests_by_task(tokenizer, tasks, max_episodes=3)
    assert together == requests_by_task(tokenizer, tasks[::-1], max_episodes=1)
    assert together["Task 2"] == requests_by_task(tokenizer, [tasks[2]], max_episodes=1)["Task 2"]
    assert len({request.seed for requests in together.values() for request in requests}) == 4 + 3 * 2
    reseeded = requests_by_task(tokenizer, [replace(tasks[2], seed=5)], max_episodes=1)["Task 2"]
    assert reseeded[0].ids == together["Task 2"][0].ids
    assert reseeded[0].seed != together["Task 2"][0].seed


def test_a_waiting_episode_starts_in_the_step_after_another_one_ends(tokenizer: Any):
    # Two slots: task 0 takes four steps, meanwhile tasks 1 and 2 take two each.
    generator = ScriptedGenerator(tokenizer, mixed_script)
    requests = [EpisodeRequest(toy_task(number), seed=number) for number in range(3)]
    toy_collector(tokenizer, generator, max_episodes=2).play(requests)
    assert [len(call) for call in generator.calls] == [2, 2, 2, 2]


def test_finished_is_called_when_an_episode_ends(tokenizer: Any):
    generator = ScriptedGenerator(tokenizer, mixed_script)
    requests = [EpisodeRequest(toy_task(number), seed=number) for number in range(3)]
    finished: list[tuple[str, int]] = []
    collector = toy_collector(tokenizer, generator, max_episodes=2)
    played = collector.play(requests, finished=lambda t: finished.append((t.task_id, len(generator.calls))))
    assert finished == [("toy_1", 2), ("toy_0", 4), ("toy_2", 4)]
    assert {trajectory.task_id for trajectory in played} == {"toy_0", "toy_1", "toy_2"}


def test_an_error_in_the_environment_is_raised_by_play(tokenizer: Any):
    class Failing(Actionable):
        def for_episode(self, environment: Any, task: Any, seed: int) -> Any:
            if seed == 3:
                raise RuntimeError("the fourth episode cannot begin")
            return super().for_episode(environment, task, seed)

    generator = HFGenerator()
    generator.update_weights(toy_model(), 0)
    collector = toy_collector(tokenizer, generator, Failing(), max_completion_tokens=4, max_episodes=2)
    # The fourth episode starts in the environment thread.
    with pytest.raises(RuntimeError, match="the fourth episode cannot begin"):
        collector.play([EpisodeRequest(toy_task(number), seed=number) for number in range(4)])


def test_trajectories_are_in_the_order_of_the_requests(tokenizer: Any):
    # Task 0 takes four steps, the others two.
    generator = ScriptedGenerator(tokenizer, mixed_script)
    requests = [EpisodeRequest(toy_task(number), seed=50 + number) for number in (3, 0, 2, 1)]
    played = toy_collector(tokenizer, generator, max_episodes=2).play(requests)
    assert [(trajectory.task_id, trajectory.seed) for trajectory in played] == [
        ("toy_3", 53),
        ("toy_0", 50),
        ("toy_2", 52),
        ("toy_1", 51),
    ]
    assert [trajectory.success for trajectory in played] == [False, True, False, False]


def test_trajectories_record_the_policy_version_and_greedy_is_passed_on(tokenizer: Any):
    generator = ScriptedGenerator(tokenizer, always(IDLE))
    collector = toy_collector(tokenizer, generator)
    for version in (0, 7):
        generator.policy_version = version
        assert collector.play([EpisodeRequest(toy_task(), 0)], greedy=version == 7)[0].policy_version == version
    assert generator.greedy == [False, False, True, True]
    assert collector.play([]) == []


@pytest.mark.parametrize("limit", ["step_limit", "max_prompt_tokens", "max_response_tokens", "max_episodes"])
def test_a_limit_below_one_is_named(tokenizer: Any, limit: str):
    with pytest.raises(ValueError, match=f"{limit}=0 must be a whole number of at least 1"):
        toy_collector(tokenizer, ScriptedGenerator(tokenizer, always(IDLE)), **{limit: 0})


def test_a_token_budget_beyond_the_models_window_is_refused(tokenizer: Any):
    collector = toy_collector(tokenizer, ScriptedGenerator(tokenizer, always(IDLE)))
    collector.check_window(1024 + 512)
    collector.check_window(None)
    with pytest.raises(UserError, match="make 1536 tokens, but the model's window holds 1535"):
        collector.check_window(1535)


def test_recorded_log_probs_equal_those_of_a_fresh_pass(tokenizer: Any):
    model = toy_model().eval()
    generator = HFGenerator(temperature=0.8)
    generator.update_weights(model, 4)
    collector = toy_collector(tokenizer, generator, max_completion_tokens=12, max_episodes=3)
    requests = [EpisodeRequest(toy_task(number), seed=number) for number in range(4)]
    for trajectory in collector.play(requests):
        tokens = trajectory.tokens
        assert tokens is not None
        assert (len(trajectory.steps), trajectory.policy_version) == (3, 4)
        with torch.no_grad():
            logits = model(input_ids=torch.tensor([tokens.ids]), use_cache=False).logits[0] / 0.8
        expected = logits.log_softmax(-1)[:-1].gather(-1, torch.tensor(tokens.ids)[1:, None])[:, 0]
        mask = torch.tensor(tokens.completion_mask)[1:]
        assert mask.sum() >= 3
        torch.testing.assert_close(torch.tensor(tokens.logprobs)[1:][mask], expected[mask], atol=1e-4, rtol=0)


def test_hints_can_be_switched_off(tokenizer: Any):
    collector = toy_collector(tokenizer, ScriptedGenerator(tokenizer, always(TWICE)), Actionable())
    requests = [EpisodeRequest(toy_task(), 0)]
    hinted, plain = collector.play(requests)[0], collector.play(requests, hints=False)[0]
    assert [result.hint and result.hint.rule for result in hinted.results] == [None, "file_system.taken", None]
    assert [result.hint for result in plain.results] == [None] * 3
    assert hinted.success
    assert plain.success


def test_annealed_hints_depend_only_on_the_seed_of_the_episode(tokenizer: Any):
    augmentation = Annealed(Actionable(), 4, "success", 0.0, 1.0)
    augmentation.observe([0.5])
    collector = toy_collector(tokenizer, ScriptedGenerator(tokenizer, always(TWICE)), augmentation, max_episodes=7)
    requests = [EpisodeRequest(toy_task(), seed) for seed in range(20)]
    together = [trajectory.results[1].hint for trajectory in collector.play(requests)]
    alone = [collector.play([request])[0].results[1].hint for request in requests]
    assert together == alone
    assert 0 < sum(hint is not None for hint in together) < 20
