"""Responses that the chat template has begun: played, recorded, taught and served."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
from toy_world import (
    ANSWER,
    CHATML,
    DOCUMENTS,
    LS,
    MKDIR,
    ScriptedGenerator,
    always,
    toy_collector,
    toy_task,
    toy_tokenizer,
)

from envtune import trajectory_file
from envtune.chat.prefilled import behind_prefix
from envtune.environment.augmentation.actionable import Actionable
from envtune.rollout.collector import Collector, EpisodeRequest
from envtune.serving.conversations import Conversations
from envtune.serving.messages import Message, read_reply
from envtune.training.hindsight import taught_calls
from envtune.trajectory import FormatError, Trajectory

BEGUN = "<think>\n"
OTHER = MKDIR.replace('"a"', '"b"')
# The second call fails, and the third helps.
RECOVERS = (MKDIR, MKDIR, OTHER, ANSWER, LS, ANSWER)


@pytest.fixture
def tokenizer() -> Any:
    fast = toy_tokenizer()
    fast.chat_template = CHATML.replace("assistant\n{% endif %}", f"assistant\n{BEGUN}{{% endif %}}")
    return fast


def play(tokenizer: Any, responses: Sequence[str]) -> tuple[Collector, Trajectory]:
    """Sample only what the template has not written."""
    sampled = [behind_prefix(BEGUN, response) for response in responses]
    assert not any("<think>" in text for text in sampled)
    collector = toy_collector(
        tokenizer, ScriptedGenerator(tokenizer, always(sampled)), step_limit=5, max_response_tokens=2000
    )
    collector = replace(collector, augmentation=Actionable())
    (trajectory,) = collector.play([EpisodeRequest(toy_task(), 0)])
    return collector, trajectory


def test_no_response_is_a_format_error_and_the_record_shows_it_whole(tokenizer: Any) -> None:
    _, trajectory = play(tokenizer, RECOVERS)
    assert not any(isinstance(step.action, FormatError) for step in trajectory.steps)
    assert [step.completion.replace(BEGUN, "<think>") for step in trajectory.steps] == list(RECOVERS)
    line = json.dumps(trajectory_file.to_json(trajectory))
    assert line.count(json.dumps(BEGUN)[1:-1]) == len(RECOVERS)


def test_the_history_holds_what_the_template_began_once_and_only_what_follows_is_sampled(tokenizer: Any) -> None:
    _, trajectory = play(tokenizer, RECOVERS)
    assert trajectory.tokens is not None
    text = tokenizer.decode(trajectory.tokens.ids).rpartition("<|im_start|>system")[2]
    whole = [response.replace("<think>", BEGUN) for response in RECOVERS]
    assert [part.partition("<|im_end|>")[0] for part in text.split("<|im_start|>assistant\n")[1:]] == whole
    sampled = [tokenizer.decode(trajectory.tokens.ids[a:b]) for a, b in trajectory.tokens.completions]
    assert sampled == [f"{response.removeprefix('<think>')}<|im_end|>" for response in RECOVERS]


def test_the_tokens_of_a_taught_call_are_found_behind_its_thought(tokenizer: Any) -> None:
    collector, trajectory = play(tokenizer, RECOVERS)
    calls = taught_calls([trajectory], "none", collector.template, 1.0, 10_000)
    assert calls is not None
    # Its first token also holds the last character of the thought's tag.
    assert tokenizer.decode(calls.tensors.ids[-len(calls.places) :]) == f"{MKDIR.partition('</think')[2]}<|im_end|>"


def test_a_served_conversation_continues_with_the_ids_of_the_episode(tokenizer: Any) -> None:
    collector, trajectory = play(tokenizer, RECOVERS)
    assert trajectory.tokens is not None
    template = collector.template
    start, _ = trajectory.tokens.completions[1]
    user = Message("user", trajectory.turns[0].user_message)
    reply = read_reply(trajectory.steps[0].completion, has_tools=True)
    assert reply.thought == "I make it."
    result = Message("tool", trajectory.steps[0].results[0].text, result_of=reply.call_ids[0])
    # Nothing is stored: the reply is written again.
    prompt = Conversations(template, 4096).prompt([user, reply, result], DOCUMENTS)
    rewritten, played = (
        tokenizer.decode(ids).rpartition("Task 0")[2] for ids in (prompt.ids, trajectory.tokens.ids[:start])
    )
    assert rewritten.replace("</think>\n", "</think>") == played
