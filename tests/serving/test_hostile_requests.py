"""Every request is read, with a prompt within the window, or refused with a status of 4xx."""

from __future__ import annotations

import json
from collections.abc import Iterator
from copy import deepcopy
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from stand_ins import END, HELLO, LS_TOOL, MODEL, ScriptedServer, upstream_of
from toy_world import STYLE, toy_tokenizer

from envtune.chat.template import Template
from envtune.serving.chat_request import Limits
from envtune.serving.completion_server import Model, read_completion_request
from envtune.serving.endpoint import Endpoint, ParsedRequest, Served
from envtune.serving.refusal import Refusal

WINDOW = 4096
TOKENIZER = toy_tokenizer()
ENDPOINTS = [
    Endpoint(
        Served(MODEL, WINDOW, frozenset({END})),
        Template(TOKENIZER, style, max_observation_tokens=200),
        upstream_of(ScriptedServer(TOKENIZER).app),
        Limits(64),
    )
    for style in (STYLE, type(STYLE)("full", "short"))
]
SCHEMA = {
    "type": "object",
    "properties": {"a": {"type": "array", "items": {"type": "string", "enum": ["b"]}, "default": [1], "format": "x"}},
    "required": ["a"],
}
CALL = {"id": "call_1", "type": "function", "function": {"name": "ls", "arguments": '{"a": ["b"]}'}}
REQUEST: dict[str, Any] = {
    "model": MODEL,
    "messages": [
        {"role": "system", "content": [{"type": "text", "text": "Be kind."}]},
        *HELLO,
        {"role": "assistant", "content": None, "tool_calls": [CALL], "reasoning_content": "I look."},
        {"role": "tool", "tool_call_id": "call_1", "content": "b"},
        {"role": "assistant", "content": "[ls()]", "reasoning": ""},
        *HELLO,
    ],
    "tools": [LS_TOOL, {"type": "function", "function": {"name": "f", "parameters": SCHEMA, "response": {}}}],
    "temperature": 0.5,
    "top_p": 0.5,
    "seed": 1,
    "max_tokens": 5,
    "max_completion_tokens": 5,
    "prompt_cache_key": "name",
    "user": "me",
    "n": 1,
    "stop": [],
    "tool_choice": "auto",
    "logit_bias": {},
    "response_format": {"type": "text"},
}  # fmt: skip
BODY = {"model": MODEL, "prompt": [5], "max_tokens": 3, "temperature": 1, "top_p": 1, "stop_token_ids": [1], "seed": 1}


def nested(levels: int, kind: str = "[]") -> Any:
    """Return a placeholder for JSON with ``levels`` levels, too deep for Python's encoder."""
    return f"\x00{kind[0] * levels}{kind[1] * levels}"


HOSTILE = [
    *(None, True, False, 0, -1, 5, 1.5, 2**63, -(2**63), 10**400, 1e-320, 1e308, float("nan"), float("inf")),
    *(
        "",
        "a",
        "\x00",
        "\ud800",
        "\udfff\ud800",
        "<|im_end|>",
        "[ls()]",
        "[f(a=1",
        "{",
        "[" * 5000,
        "9" * 5000,
        "1e999",
    ),
    *([], [[]], [None], {}, {"": None}, {"a": {}}, ["\ud800"], {"\ud800": "\ud800"}, {"type": "object", "enum": 5}),
    *(nested(900), nested(480), nested(50), nested(100_000)),
    *('{"a": NaN}', '{"a": 1e999}', f'{{"a": {"9" * 5000}}}', f'{{"a": {"[" * 900}{"]" * 900}}}', '{"\\ud800": 1}'),
]


def paths(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    yield path
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, entry in inner:
        yield from paths(entry, (*path, key))


def changed(request: Any, path: tuple[Any, ...], value: Any) -> bytes:
    """Return the JSON of ``request`` with ``value`` at ``path``."""
    whole = [deepcopy(request)]
    holder: Any = whole
    for key in (0, *path)[:-1]:
        holder = holder[key]
    holder[(0, *path)[-1]] = value
    text = json.dumps(whole[0])
    if isinstance(value, str) and value.startswith("\x00") and len(value) > 1:
        text = text.replace(json.dumps(value), value[1:])
    return text.encode()


def check(refusal: Refusal) -> None:
    """Require a status of 4xx and a body that can be encoded."""
    assert 400 <= refusal.status < 500
    json.dumps(refusal.body, ensure_ascii=False).encode()


def read(endpoint: Endpoint, body: bytes) -> ParsedRequest | None:
    """Return the parsed request, None if it was refused. Other errors are failures of the server."""
    try:
        parsed = endpoint._read(bytearray(body))
    except Refusal as refusal:
        check(refusal)
        return None
    assert len(parsed.prompt.ids) + parsed.completion.max_tokens <= WINDOW
    return parsed


def test_the_unchanged_request_is_read() -> None:
    for endpoint in ENDPOINTS:
        assert read(endpoint, json.dumps(REQUEST).encode())


@pytest.mark.parametrize("path", list(paths(REQUEST)), ids=str)
def test_a_hostile_value_anywhere_is_read_or_refused(path: tuple[Any, ...]) -> None:
    for number, value in enumerate(HOSTILE):
        read(ENDPOINTS[number % 2], changed(REQUEST, path, value))


TEXT = st.text(st.characters(codec=None), max_size=20)
JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | TEXT | st.sampled_from(HOSTILE),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(
        st.sampled_from(["type", "enum", "items", "properties", "required", "default", "role", "content", "name"])
        | TEXT, inner, max_size=3
    ),
    max_leaves=8,
)  # fmt: skip


@settings(max_examples=300, deadline=None, derandomize=True, database=None)
@given(st.sampled_from(list(paths(REQUEST))), JSON_VALUES, st.sampled_from(ENDPOINTS))
def test_any_value_anywhere_is_read_or_refused(path: tuple[Any, ...], value: Any, endpoint: Endpoint) -> None:
    read(endpoint, changed(REQUEST, path, value))


@pytest.mark.parametrize("path", list(paths(BODY)), ids=str)
def test_a_hostile_value_in_a_completion_request_is_read_or_refused(path: tuple[Any, ...]) -> None:
    for value in HOSTILE:
        try:
            request, sampling = read_completion_request(changed(BODY, path, value), Model(MODEL, 400, 100))
        except Refusal as refusal:
            check(refusal)
        else:
            assert 0 <= request.seed < 2**63
            assert sampling.temperature >= 1e-5


def test_nesting_of_any_depth_is_read_or_refused() -> None:
    # Some depths can be decoded but not encoded again for the prompt, a few frames further up the stack.
    extension = ("tools", 1, "function", "parameters", "x")
    for levels in range(800, 1000):
        for endpoint in ENDPOINTS:
            read(endpoint, changed(REQUEST, extension, nested(levels)))
