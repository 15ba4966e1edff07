from __future__ import annotations

import json

from toy_world import ANSWER, MKDIR

from envtune.serving.messages import Message, chat_completion, read_reply
from envtune.task import ToolCall


def message_of(completion: str, has_tools: bool = True) -> dict:
    return chat_completion("toy", read_reply(completion, has_tools), False, 1, 1)["choices"][0]["message"]


def test_an_answer_is_content_without_a_key_for_calls() -> None:
    assert message_of(ANSWER) == {"role": "assistant", "content": "Done.", "reasoning_content": "It is done."}
    assert message_of("<think></think><answer></answer>") == {"role": "assistant", "content": ""}


def test_calls_are_tool_calls_with_unique_ids() -> None:
    message, other = message_of(MKDIR), message_of(MKDIR)
    (call,) = message["tool_calls"]
    assert message["content"] is None
    assert message["reasoning_content"] == "I make it."
    assert call["type"] == "function"
    assert call["function"]["name"] == "mkdir"
    assert json.loads(call["function"]["arguments"]) == {"dir_name": "a"}
    assert call["id"] != other["tool_calls"][0]["id"]


def test_without_tools_calls_are_text() -> None:
    message = message_of(MKDIR, has_tools=False)
    assert message == {"role": "assistant", "content": "[mkdir(dir_name='a')]", "reasoning_content": "I make it."}


def test_a_completion_with_a_format_error_is_plain_content() -> None:
    for broken in ("", "Hi.", "<think>I look.</think>", "<tool_call>[{]</tool_call>", MKDIR + "x"):
        assert message_of(broken) == {"role": "assistant", "content": broken}


def test_a_call_with_a_dotted_name_is_not_rendered_as_text() -> None:
    completion = MKDIR.replace('"mkdir"', '"os.system"')
    assert message_of(completion, has_tools=False) == {"role": "assistant", "content": completion}


def test_a_response_has_finish_reason_and_usage() -> None:
    calls = Message("assistant", "", "", (ToolCall("ls", {}),), ("1",))
    reasons = [
        chat_completion("toy", reply, clipped, 3, 4)["choices"][0]["finish_reason"]
        for reply, clipped in ((calls, False), (Message("assistant", "x"), False), (Message("assistant", "x"), True))
    ]
    assert reasons == ["tool_calls", "stop", "length"]
    usage = chat_completion("toy", calls, False, 3, 4)["usage"]
    assert usage == {"prompt_tokens": 3, "completion_tokens": 4, "total_tokens": 7}
