from __future__ import annotations

import json
from typing import Any

import pytest
from stand_ins import HELLO, LS_TOOL

from envtune.serving.chat_request import ChatRequest, Limits, read_chat_request
from envtune.serving.messages import Message
from envtune.serving.refusal import Refusal
from envtune.task import ToolCall

CALL = {"id": "call_1", "type": "function", "function": {"name": "ls", "arguments": '{"a": true}'}}
CALLED = {"role": "assistant", "content": None, "tool_calls": [CALL]}
LIMITS = Limits(64, messages=5, tools=2)


def read(**given: Any) -> ChatRequest:
    return read_chat_request(json.dumps({"model": "toy", "messages": HELLO} | given).encode(), LIMITS)


def refusal_of(text: bytes | None = None, **given: Any) -> Refusal:
    with pytest.raises(Refusal) as caught:
        read(**given) if text is None else read_chat_request(text, LIMITS)
    return caught.value


def test_missing_settings_have_openais_defaults_and_our_completion_limit() -> None:
    request = read()
    assert (request.temperature, request.top_p, request.seed, request.max_tokens) == (1.0, 1.0, None, 64)
    assert request.messages == (Message("user", "Hello."),)
    assert request.tools == ()


def test_settings_are_read_and_null_counts_as_missing() -> None:
    request = read(temperature=0, top_p=0.5, seed=7, max_tokens=5, stop=None, n=1, stream=False, store=False, user="me")
    assert (request.temperature, request.top_p, request.seed, request.max_tokens) == (0.0, 0.5, 7, 5)
    assert read(max_completion_tokens=6, max_tokens=9).max_tokens == 6


def test_messages_of_all_roles_are_read() -> None:
    parts = [{"type": "text", "text": "Li"}, {"type": "text", "text": "st."}]
    result = {"role": "tool", "tool_call_id": "call_1", "content": "a.txt"}
    messages = [{"role": "developer", "content": "Be kind."}, {"role": "user", "content": parts}, CALLED, result]
    thinking = CALLED | {"reasoning_content": "I look.", "refusal": None, "annotations": None}
    assert read(messages=[*messages[:2], thinking, result]).messages == (
        Message("system", "Be kind."),
        Message("user", "List."),
        Message("assistant", "", "I look.", (ToolCall("ls", {"a": True}),), ("call_1",)),
        Message("tool", "a.txt", result_of="call_1"),
    )


def test_tool_choice_none_removes_the_tools() -> None:
    assert [tool.name for tool in read(tools=[LS_TOOL], tool_choice="auto").tools] == ["ls"]
    assert read(tools=[LS_TOOL], tool_choice="none").tools == ()


@pytest.mark.parametrize(
    ("given", "param"),
    [
        ({"stream": True}, "stream"),
        ({"n": 2}, "n"),
        ({"n": True}, "n"),
        ({"stop": "x"}, "stop"),
        ({"tool_choice": "required"}, "tool_choice"),
        ({"logprobs": True}, "logprobs"),
        ({"parallel_tool_calls": False}, "parallel_tool_calls"),
        ({"response_format": {"type": "json_object"}}, "response_format"),
        ({"top_k": 5}, "top_k"),
        ({"temperature": 2.5}, "temperature"),
        ({"temperature": "hot"}, "temperature"),
        ({"top_p": 0}, "top_p"),
        ({"seed": -1}, "seed"),
        ({"seed": 2**63}, "seed"),
        ({"max_tokens": 65}, "max_tokens"),
        ({"max_tokens": 0}, "max_tokens"),
        ({"max_tokens": True}, "max_tokens"),
        ({"model": None}, "model"),
        ({"messages": None}, "messages"),
        ({"messages": []}, "messages"),
        ({"messages": "Hello."}, "messages"),
        ({"messages": ["Hello."]}, "messages[0]"),
        ({"messages": [{"role": "robot", "content": "x"}]}, "messages[0].role"),
        ({"messages": [{"role": ["user"], "content": "x"}]}, "messages[0].role"),
        ({"messages": [{"role": "user"}]}, "messages[0].content"),
        ({"messages": [{"role": "user", "content": [{"type": "image_url"}]}]}, "messages[0].content"),
        ({"messages": [*HELLO, {"role": "system", "content": "x"}]}, "messages[1]"),
        ({"messages": [*HELLO, CALLED]}, "messages[1]"),
        ({"messages": [{"role": "system", "content": "x"}]}, "messages[0]"),
        (
            {"messages": [*HELLO, {"role": "tool", "tool_call_id": "call_1", "content": "x"}]},
            "messages[1].tool_call_id",
        ),
        (
            {"messages": [*HELLO, CALLED, {"role": "tool", "tool_call_id": "2", "content": "x"}]},
            "messages[2].tool_call_id",
        ),
        ({"messages": [*HELLO, {"role": "assistant", "function_call": {}}, *HELLO]}, "messages[1].function_call"),
        ({"messages": [*HELLO, CALLED | {"tool_calls": ["ls"]}, *HELLO]}, "messages[1].tool_calls[0]"),
        ({"tools": "ls"}, "tools"),
        ({"tools": [LS_TOOL, LS_TOOL]}, "tools"),
        ({"tools": ["ls"]}, "tools[0]"),
        ({"tools": [{"type": "function", "function": {"name": ""}}]}, "tools[0].function.name"),
    ],
)
def test_unsupported_and_invalid_values_are_refused_by_name(given: dict[str, Any], param: str) -> None:
    refusal = refusal_of(**given)
    assert (refusal.status, refusal.param) == (400, param)


def test_arguments_must_contain_a_json_object() -> None:
    for arguments in ("{", "[1]", "1", None, "[" * 100_000):
        call = {"id": "call_1", "function": {"name": "ls", "arguments": arguments}}
        refusal = refusal_of(messages=[*HELLO, CALLED | {"tool_calls": [call]}, *HELLO])
        assert refusal.status == 400


def test_too_many_messages_or_tools_get_status_413() -> None:
    assert refusal_of(messages=HELLO * 6).status == 413
    tools = [{"function": {"name": str(number)}} for number in range(3)]
    assert refusal_of(tools=tools).status == 413


@pytest.mark.parametrize(
    "text",
    [b"", b"{", b"[]", b'"x"', b"\xff\xfe", b'{"temperature": NaN}', b"[" * 200_000, b'{"seed": ' + b"9" * 9000 + b"}"],
)
def test_a_body_that_is_not_a_json_object_is_refused(text: bytes) -> None:
    assert refusal_of(text).status == 400


def test_a_refusal_that_quotes_an_unpaired_surrogate_can_be_encoded() -> None:
    refusal = refusal_of(b'{"\\ud800": 1, "model": "toy"}')
    assert refusal.body["error"]["message"] == "? is not supported"
    json.dumps(refusal.body, ensure_ascii=False).encode()
