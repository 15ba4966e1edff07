"""BFCL's complete tool documents in a window of 8,192 tokens."""

from __future__ import annotations

import pytest
import torch
from smollm2 import FOLDER, bare_model, prompt_ids, template

from envtune.bfcl.benchmark import BFCL
from envtune.bfcl.category import CATEGORIES
from envtune.bfcl.environment import BFCLEnvironment
from envtune.environment.augmentation.none import NoAugmentation
from envtune.errors import UserError
from envtune.rollout.collector import Collector, EpisodeRequest
from envtune.rollout.generator import Completion, Request
from envtune.rollout.hf.hf_generator import HFGenerator
from envtune.task import Split, Task
from envtune.training.model.weights import load_model

WINDOW = 8192


@pytest.fixture(scope="module")
def longest() -> tuple[Task, int]:
    """The task with the longest prompt, and its tokens."""
    source, texts = BFCL(CATEGORIES), template("full")
    tasks = [*source.tasks(Split.TRAIN), *source.tasks(Split.TEST)]
    # Documents decide: of each set of tools, the longest message.
    by_tools: dict[tuple[str, ...], Task] = {}
    for task in sorted(tasks, key=lambda task: len(task.turns[0].message)):
        by_tools[tuple(tool.name for tool in task.tools_offered_at(0))] = task
    lengths = {task.id: len(prompt_ids(texts, task)) for task in by_tools.values()}
    task = max(by_tools.values(), key=lambda task: lengths[task.id])
    return task, lengths[task.id]


def collector(max_prompt: int, max_response: int) -> Collector:
    return Collector(
        HFGenerator(),
        template("full"),
        BFCLEnvironment(),
        NoAugmentation(),
        step_limit=1,
        at_step_limit="end",
        max_prompt_tokens=max_prompt,
        max_response_tokens=max_response,
        max_completion_tokens=4,
    )


def test_every_complete_prompt_leaves_room_for_a_response(longest: tuple[Task, int]):
    assert 7168 < longest[1] <= WINDOW - 512


def test_a_longer_prompt_than_allowed_and_a_longer_episode_than_the_window_are_refused(longest: tuple[Task, int]):
    task, tokens = longest
    short = collector(tokens - 1, 512)
    short.generator.update_weights(load_model(str(FOLDER)), 0)
    with pytest.raises(UserError, match=rf"the prompt of task {task.id} has {tokens} tokens, .*or use prompt=compact"):
        short.play([EpisodeRequest(task, 0)])
    with pytest.raises(UserError, match="make 8193 tokens, but the model's window holds 8192"):
        collector(7680, 513).check_window(WINDOW)
    collector(7680, 512).check_window(WINDOW)


def test_the_likeliest_token_after_the_longest_prompt_is_that_of_the_untouched_model(longest: tuple[Task, int]):
    ids = prompt_ids(template("full"), longest[0])
    taken: list[Completion] = []
    generator = HFGenerator()
    generator.update_weights(load_model(str(FOLDER), dtype="float32"), 0)
    generator.run([Request(ids, 0, 2)], lambda _, completion: taken.append(completion), greedy=True)
    sampled = torch.tensor(taken[0].ids)
    with torch.no_grad():
        given = torch.cat([torch.tensor(ids), sampled])[None]
        logits = bare_model(torch.float32)(given, use_cache=False, logits_to_keep=len(sampled) + 1).logits[0, :-1]
    assert logits.argmax(-1).tolist() == sampled.tolist()
    expected = logits.log_softmax(-1).gather(-1, sampled[:, None])[:, 0]
    torch.testing.assert_close(torch.tensor(taken[0].logprobs), expected, atol=1e-3, rtol=0)
