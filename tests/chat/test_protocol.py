from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from envtune.chat.protocol import MAX_CHARACTERS, parse, write_answer, write_calls
from envtune.task import ToolCall
from envtune.trajectory import FinalAnswer, FormatError, FormatFault, ToolCalls

CALL = '{"name": "f", "arguments": {}}'
TAGS = ("<think>", "</think>", "<tool_call>", "</tool_call>", "<answer>", "</answer>")


def call_text(body: str) -> str:
    return f"<think>t</think><tool_call>{body}</tool_call>"


def test_calls_are_read_in_order_with_the_thought_stripped():
    text = '<think> look </think>\n<tool_call>[{"name": "ls", "arguments": {"a": true}}, '
    text += '{"arguments": {}, "name": "pwd"}]</tool_call>\n'
    assert parse(text) == ToolCalls("look", (ToolCall("ls", {"a": True}), ToolCall("pwd", {})))


def test_an_answer_is_read_with_its_text_stripped_and_may_be_empty():
    assert parse("<think></think><answer> It is done. </answer>") == FinalAnswer("", "It is done.")
    assert parse("<think>t</think><answer></answer>") == FinalAnswer("t", "")


@pytest.mark.parametrize(
    ("fault", "text"),
    [
        (FormatFault.EMPTY, ""),
        (FormatFault.EMPTY, " \n"),
        (FormatFault.TOO_LONG, "x" * (MAX_CHARACTERS + 1)),
        (FormatFault.INVALID_TEXT, "<think>\ud800</think><answer>a</answer>"),
        (FormatFault.INVALID_TEXT, call_text('[{"name": "f", "arguments": {"a": "\\udfff"}}]')),
        (FormatFault.INVALID_TEXT, call_text('[{"name": "f", "arguments": {"\\ud83d": 1}}]')),
        (FormatFault.NO_THINK, "hello"),
        (FormatFault.NO_THINK, "<answer>a</answer>"),
        (FormatFault.NO_ACTION, "<think>t</think>"),
        (FormatFault.NO_ACTION, "<think>t</think> and text"),
        (FormatFault.BOTH_ACTIONS, "<think>t</think><tool_call>[]</tool_call><answer>a</answer>"),
        (FormatFault.REPEATED_TAG, "<think>a<think>b</think><answer>a</answer>"),
        (FormatFault.REPEATED_TAG, "<think>t</think><answer>a</answer><answer>b</answer>"),
        (FormatFault.UNCLOSED_TAG, "<think>t"),
        (FormatFault.UNCLOSED_TAG, "<think>t</think><answer>a"),
        (FormatFault.UNOPENED_TAG, "t</think><answer>a</answer>"),
        (FormatFault.UNOPENED_TAG, "<think>t</think>a</answer>"),
        (FormatFault.WRONG_ORDER, "<answer>a</answer><think>t</think>"),
        (FormatFault.WRONG_ORDER, "<think>t<answer>a</think></answer>"),
        (FormatFault.TEXT_OUTSIDE_TAGS, "Sure! <think>t</think><answer>a</answer>"),
        (FormatFault.TEXT_OUTSIDE_TAGS, "<think>t</think> so <answer>a</answer>"),
        (FormatFault.TEXT_OUTSIDE_TAGS, "<think>t</think><answer>a</answer>."),
        (FormatFault.INVALID_JSON, call_text("ls()")),
        (FormatFault.INVALID_JSON, call_text('[{"name": "f", "arguments": {}}] extra')),
        (FormatFault.INVALID_JSON, call_text("[{'name': 'f', 'arguments': {}}]")),
        (FormatFault.DUPLICATE_KEY, call_text('[{"name": "f", "name": "g", "arguments": {}}]')),
        (FormatFault.DUPLICATE_KEY, call_text('[{"name": "f", "arguments": {"a": {"b": 1, "b": 1}}}]')),
        (FormatFault.INVALID_NUMBER, call_text('[{"name": "f", "arguments": {"a": NaN}}]')),
        (FormatFault.INVALID_NUMBER, call_text('[{"name": "f", "arguments": {"a": -Infinity}}]')),
        (FormatFault.INVALID_NUMBER, call_text('[{"name": "f", "arguments": {"a": 1e999}}]')),
        (FormatFault.INVALID_NUMBER, call_text('[{"name": "f", "arguments": {"a": -' + "9" * 5000 + "}}]")),
        (FormatFault.NESTED_TOO_DEEP, call_text("[" * 21 + "]" * 21)),
        (FormatFault.NESTED_TOO_DEEP, call_text('{"a":' * 30_000)),
        (FormatFault.NOT_A_CALL_LIST, call_text('{"name": "f", "arguments": {}}')),
        (FormatFault.NOT_A_CALL_LIST, call_text('"f"')),
        (FormatFault.NO_CALLS, call_text("")),
        (FormatFault.NO_CALLS, call_text(" [] ")),
        (FormatFault.TOO_MANY_CALLS, call_text("[" + ",".join([CALL] * 51) + "]")),
        (FormatFault.CALL_NOT_AN_OBJECT, call_text('["f"]')),
        (FormatFault.CALL_WITHOUT_NAME, call_text('[{"arguments": {}}]')),
        (FormatFault.CALL_WITHOUT_NAME, call_text('[{"name": 3, "arguments": {}}]')),
        (FormatFault.CALL_WITHOUT_NAME, call_text('[{"name": "", "arguments": {}}]')),
        (FormatFault.CALL_WITHOUT_ARGUMENTS, call_text('[{"name": "f"}]')),
        (FormatFault.CALL_WITHOUT_ARGUMENTS, call_text('[{"name": "f", "arguments": [1]}]')),
        (FormatFault.CALL_WITH_UNKNOWN_KEY, call_text('[{"name": "f", "arguments": {}, "id": 1}]')),
    ],
)
def test_each_violation_has_its_fault_and_a_message_of_one_line(fault: FormatFault, text: str):
    action = parse(text)
    assert isinstance(action, FormatError)
    assert action.fault is fault
    assert action.message.endswith(".")
    assert "\n" not in action.message
    assert len(action.message) < 250
    action.message.encode()


def test_every_fault_has_an_example_above():
    marks = test_each_violation_has_its_fault_and_a_message_of_one_line.pytestmark
    of_others = {FormatFault.TEXT_BESIDE_CALLS, FormatFault.CALL_OUTSIDE_TAGS}
    assert {fault for fault, _ in marks[0].args[1]} == set(FormatFault) - of_others


def test_fifty_calls_are_read():
    assert parse(call_text("[" + ",".join([CALL] * 50) + "]")) == ToolCalls("t", (ToolCall("f", {}),) * 50)


def test_brackets_inside_strings_do_not_count_as_depth():
    text = "[" * 50 + '\\"' + "{" * 50
    action = parse(call_text('[{"name": "f", "arguments": {"a": "' + text + '"}}]'))
    assert action == ToolCalls("t", (ToolCall("f", {"a": "[" * 50 + '"' + "{" * 50}),))


def test_a_tag_inside_a_json_string_is_a_tag_unless_it_is_escaped():
    literal = call_text('[{"name": "echo", "arguments": {"content": "<answer>"}}]')
    escaped = call_text('[{"name": "echo", "arguments": {"content": "\\u003canswer>"}}]')
    assert parse(literal).fault is FormatFault.BOTH_ACTIONS
    assert parse(escaped) == ToolCalls("t", (ToolCall("echo", {"content": "<answer>"}),))


def test_a_surrogate_pair_in_json_is_one_character():
    assert parse(call_text('[{"name": "f", "arguments": {"a": "\\ud83d\\ude00"}}]')).calls[0].arguments == {"a": "😀"}


def test_an_integer_of_300_digits_is_kept_exactly():
    assert parse(call_text('[{"name": "f", "arguments": {"a": ' + "9" * 300 + "}}]")).calls[0].arguments == {
        "a": 10**300 - 1
    }


@pytest.mark.parametrize(
    ("thought", "text"), [("see <answer>", "a"), ("t", "the tag </think> closes"), ("t", "x" * MAX_CHARACTERS)]
)
def test_an_answer_that_the_protocol_cannot_express_is_refused(thought: str, text: str):
    with pytest.raises(ValueError, match="the response protocol cannot express this"):
        write_answer(thought, text)


def test_an_empty_list_of_calls_is_refused():
    with pytest.raises(ValueError, match="no_calls"):
        write_calls("t", [])


snippets = st.lists(
    st.one_of(st.sampled_from([*TAGS, '[{"name": "f", "arguments": {}}]', "[", "{", '"', "\\", "NaN", " "]), st.text())
)


@given(snippets.map("".join))
def test_any_text_is_parsed_as_an_action(text: str):
    assert isinstance(parse(text), (ToolCalls, FinalAnswer, FormatError))


@given(st.text(st.characters(codec=None)))
def test_any_text_as_a_tool_call_is_parsed_as_an_action(body: str):
    assert isinstance(parse(call_text(body)), (ToolCalls, FormatError))


encodable = st.text(st.characters(codec="utf-8"))
untagged = encodable.filter(lambda text: not any(tag in text for tag in TAGS)).map(str.strip)
numbers = st.one_of(st.integers(-(10**299), 10**299), st.floats(allow_nan=False, allow_infinity=False))
values = st.recursive(
    st.one_of(st.none(), st.booleans(), numbers, encodable, st.sampled_from(TAGS)),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(encodable, inner, max_size=3)),
    max_leaves=6,
)
calls = st.lists(
    st.builds(ToolCall, encodable.filter(bool), st.dictionaries(encodable, values, max_size=3)), min_size=1, max_size=3
)


@given(untagged, calls)
def test_rendered_calls_are_read_back(thought: str, made: list[ToolCall]):
    assert parse(write_calls(thought, made)) == ToolCalls(thought, tuple(made))


@given(untagged, untagged)
def test_a_rendered_answer_is_read_back(thought: str, text: str):
    assert parse(write_answer(thought, text)) == FinalAnswer(thought, text)


def test_rendered_calls_are_plain_json_between_the_tags():
    text = write_calls("Look.", [ToolCall("cd", {"folder": "naïve"})])
    assert text == '<think>Look.</think>\n<tool_call>[{"name": "cd", "arguments": {"folder": "naïve"}}]</tool_call>'
    assert json.loads(text.split("<tool_call>")[1].removesuffix("</tool_call>"))[0]["name"] == "cd"
