"""What each protocol writes, it reads back; and no text makes it raise."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from envtune.chat.protocol.environment_tuning import EnvironmentTuning
from envtune.chat.protocol.hermes import Hermes
from envtune.chat.protocol.llama3_json import Llama3Json
from envtune.chat.protocol.plain_json import PlainJson
from envtune.chat.protocol.response_protocol import MAX_CHARACTERS, ResponseProtocol
from envtune.task import ToolCall
from envtune.trajectory import FinalAnswer, FormatError, FormatFault, ToolCalls

PROTOCOLS = [EnvironmentTuning(), Hermes(), Llama3Json(), PlainJson()]
TAGS = ["<think>", "</think>", "<tool_call>", "</tool_call>", "<answer>", "</answer>"]
MARKS = [*TAGS, "<|python_tag|>", "```json", ";"]
each_protocol = pytest.mark.parametrize("protocol", PROTOCOLS, ids=lambda protocol: type(protocol).__name__)

encodable = st.text(st.characters(codec="utf-8"))
spoken = encodable.filter(lambda text: not any(mark in text for mark in MARKS)).map(str.strip)
numbers = st.one_of(st.integers(-(10**299), 10**299), st.floats(allow_nan=False, allow_infinity=False))
values = st.recursive(
    st.one_of(st.none(), st.booleans(), numbers, encodable, st.sampled_from(MARKS)),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(encodable, inner, max_size=3)),
    max_leaves=6,
)
arguments = st.dictionaries(encodable, values, max_size=3)
calls = st.lists(st.builds(ToolCall, encodable.filter(bool), arguments), min_size=1, max_size=3)
CALLS = ['{"name": "f", "arguments": {}}', '{"name": "f", "parameters": {}}', '[{"name": "f", "arguments": {}}]']
pieces = st.lists(st.one_of(st.sampled_from([*MARKS, *CALLS, "[", "{", "}", '"', "\\", "NaN", " ", "\n"]), st.text()))


@each_protocol
@given(spoken, calls)
def test_written_calls_are_read_back(protocol: ResponseProtocol, thought: str, made: list[ToolCall]):
    assert protocol.parse(protocol.write_calls(thought, made)) == ToolCalls(thought, tuple(made))


@each_protocol
@given(spoken, spoken.map(lambda text: f"It is {text}.".strip()))
def test_a_written_answer_is_read_back(protocol: ResponseProtocol, thought: str, text: str):
    assert protocol.parse(protocol.write_answer(thought, text)) == FinalAnswer(thought, text)


@each_protocol
@given(pieces.map("".join), pieces.map("".join))
def test_what_would_be_read_as_something_else_is_not_written(protocol: ResponseProtocol, thought: str, text: str):
    try:
        written = protocol.write_answer(thought, text)
    except ValueError:
        return
    assert protocol.parse(written) == FinalAnswer(thought.strip(), text.strip())


@each_protocol
@given(pieces.map("".join))
def test_any_text_is_an_action(protocol: ResponseProtocol, text: str):
    action = protocol.parse(text)
    assert isinstance(action, (ToolCalls, FinalAnswer, FormatError))
    if isinstance(action, ToolCalls):
        assert 0 <= protocol.start_of_calls(text) < len(text)


@each_protocol
@pytest.mark.parametrize(
    ("fault", "text"),
    [
        (FormatFault.EMPTY, " \n"),
        (FormatFault.TOO_LONG, "x" * (MAX_CHARACTERS + 1)),
        (FormatFault.INVALID_TEXT, "It is \ud800."),
        (FormatFault.UNCLOSED_TAG, "<think>t"),
        (FormatFault.UNOPENED_TAG, "t</think>"),
        (FormatFault.NO_ACTION, "<think>t</think>\n"),
    ],
)
def test_faults_of_every_protocol(protocol: ResponseProtocol, fault: FormatFault, text: str):
    assert protocol.parse(text).fault is fault  # type: ignore[union-attr]


@each_protocol
def test_the_form_in_the_system_prompt_is_read_as_its_own_example(protocol: ResponseProtocol):
    lines = protocol.form.splitlines()
    example = lines[1] if isinstance(protocol, EnvironmentTuning) else "\n".join(lines[1:])
    thought = "" if isinstance(protocol, Llama3Json) else "your reasoning"
    assert protocol.parse(example) == ToolCalls(thought, (ToolCall("tool", {"parameter": "value"}),))
