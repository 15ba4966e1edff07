"""Episodes in a native protocol: what the model reads, and the same from the endpoint for the same conversation."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch
from native_templates import LLAMA3, QWEN2, native_tokenizer
from toy_world import DOCUMENTS, STYLE, ScriptedGenerator, toy_task

from envtune.bfcl.environment import BFCL_ENVIRONMENT
from envtune.chat.protocol.hermes import Hermes
from envtune.chat.protocol.llama3_json import Llama3Json
from envtune.chat.protocol.plain_json import PlainJson
from envtune.chat.protocol.response_protocol import ResponseProtocol
from envtune.chat.template import Template
from envtune.environment.augmentation.none import NoAugmentation
from envtune.reward import FormatReward
from envtune.rollout.collector import Collector, EpisodeRequest
from envtune.serving.conversations import Conversations
from envtune.serving.messages import Message, read_reply
from envtune.task import Task, ToolCall, UserTurn
from envtune.training.hindsight import taught_calls
from envtune.trajectory import FormatFault, Hint, HintKind, Trajectory

EACH = pytest.mark.parametrize(
    ("chat_template", "protocol"), [(QWEN2, Hermes()), (LLAMA3, Llama3Json()), (QWEN2, PlainJson())]
)
MKDIR, LS = ToolCall("mkdir", {"dir_name": "a"}), ToolCall("ls", {})


class Spoken(ScriptedGenerator):
    """Says one line after another, whatever the roles of the messages are."""

    def __init__(self, tokenizer: Any, lines: list[str]) -> None:
        said = iter(lines)
        super().__init__(tokenizer, lambda users, seed: next(said))


def play(fast: Any, template: Template, task: Task, *lines: str, step_limit: int = 5) -> Trajectory:
    collector = Collector(
        Spoken(fast, list(lines)), template, BFCL_ENVIRONMENT, NoAugmentation(), step_limit, 3000, 3000, 300
    )
    return collector.play([EpisodeRequest(task, 0)])[0]


@EACH
def test_a_perfect_episode_passes_and_its_prompts_are_those_of_the_endpoint(
    chat_template: str, protocol: ResponseProtocol
) -> None:
    fast = native_tokenizer(chat_template)
    template = Template(fast, STYLE, 300, protocol)
    # In the second turn a tool is handed over.
    turns = (toy_task().turns[0], UserTurn("What is here?", (LS,), new_tools=("ls",)))
    task = replace(toy_task(), turns=turns)
    calls, answer = protocol.write_calls("Both.", [MKDIR, LS]), protocol.write_answer("", "It is done.")
    played = play(fast, template, task, calls, answer, protocol.write_calls("", [LS]), answer)
    assert played.turns_passed == 2
    assert played.tokens is not None
    ids, completions = played.tokens.ids, iter(played.tokens.completions)
    conversations, messages = Conversations(template, 8000), list[Message]()
    for number, turn in enumerate(played.turns):
        messages.append(Message("user", turn.user_message))
        for step in turn.steps:
            start, end = next(completions)
            prompt = conversations.prompt(messages, task.tools_offered_at(number))
            assert tuple(prompt.ids) == ids[:start]
            reply = read_reply(step.completion, has_tools=True, protocol=protocol)
            conversations.store(prompt, reply, ids[start:end])
            messages.append(replace(reply, thought=""))
            results = zip(reply.call_ids, step.results, strict=True)
            messages += [Message("tool", result.text, result_of=id_) for id_, result in results]


@EACH
def test_an_unknown_conversation_is_written_in_the_protocol(chat_template: str, protocol: ResponseProtocol) -> None:
    fast = native_tokenizer(chat_template)
    template = Template(fast, STYLE, 300, protocol)
    answer, calls = protocol.write_answer("", "It is done."), protocol.write_calls("I see.", [MKDIR])
    played = play(fast, template, toy_task(), calls, answer, answer)
    messages = [
        Message("user", "Task 0: make a."),
        Message("assistant", "", "I see.", (MKDIR,), ("1",)),
        Message("tool", "None", result_of="1"),
        Message("assistant", "It is done."),
        Message("user", "What is here?"),
    ]
    prompt = Conversations(template, 8000).prompt(messages, DOCUMENTS)
    assert played.tokens is not None
    assert tuple(prompt.ids) == played.tokens.ids[: len(prompt.ids)]


@EACH
def test_a_fault_is_named_and_counts_in_the_format_reward(chat_template: str, protocol: ResponseProtocol) -> None:
    fast = native_tokenizer(chat_template)
    lines = protocol.write_calls("", [MKDIR]), "<think>t", protocol.write_answer("", "It is done.")
    played = play(fast, Template(fast, STYLE, 300, protocol), toy_task(), *lines, lines[2])
    assert played.steps[1].action.fault is FormatFault.UNCLOSED_TAG  # type: ignore[union-attr]
    assert {part.name: part.value for part in FormatReward()(played).parts} == {"format": 0.75, "tool": 1.0}


@EACH
def test_at_the_step_limit_the_next_users_message_follows_the_results(
    chat_template: str, protocol: ResponseProtocol
) -> None:
    fast = native_tokenizer(chat_template)
    calls, answer = protocol.write_calls("", [MKDIR]), protocol.write_answer("", "It is done.")
    played = play(fast, Template(fast, STYLE, 300, protocol), toy_task(), calls, calls, answer, step_limit=1)
    assert [turn.end for turn in played.turns] == ["step_limit", "answered"]
    text = fast.decode(played.tokens.ids)  # type: ignore[union-attr]
    assert text.count("There are no more steps for this request. The user's next message:\nWhat is here?") == 1
    assert "[1] mkdir" not in text or isinstance(protocol, PlainJson)


@EACH
def test_only_the_text_of_the_calls_is_taught_in_hindsight(chat_template: str, protocol: ResponseProtocol) -> None:
    fast = native_tokenizer(chat_template)
    template = Template(fast, STYLE, 300, protocol)
    calls, answer = protocol.write_calls("Hm.", [MKDIR]), protocol.write_answer("", "It is done.")
    played = play(fast, template, toy_task(), calls, calls, answer, answer)
    hint = Hint("rule", HintKind.DEPENDENCY, "Look first.")
    turn = played.turns[0]
    first = replace(turn.steps[0], results=(replace(turn.steps[0].results[0], hint=hint),))
    hinted = replace(played, turns=(replace(turn, steps=(first, *turn.steps[1:])), *played.turns[1:]))
    taught = taught_calls([hinted], "none", template, 1.0, 8000)
    assert taught is not None
    sampled = [id_ for start, end in played.tokens.completions for id_ in played.tokens.ids[start:end]]  # type: ignore[union-attr]
    text = fast.decode([sampled[place] for place in taught.places])
    assert text.startswith(calls[protocol.start_of_calls(calls) :])
    assert "Hm." not in text
    assert torch.equal(taught.places, torch.arange(taught.places[0], taught.places[-1] + 1))


def test_the_default_protocol_writes_no_tool_messages_even_if_the_template_could() -> None:
    fast = native_tokenizer(QWEN2)
    template = Template(fast, STYLE)
    assert template.tool_role is None
    assert template.append("[1] ls: None", results=["None"]) == template.append("[1] ls: None")
