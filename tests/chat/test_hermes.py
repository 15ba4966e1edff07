from __future__ import annotations

import pytest

from envtune.chat.protocol.hermes import Hermes
from envtune.task import ToolCall
from envtune.trajectory import FinalAnswer, FormatError, FormatFault, ToolCalls

HERMES = Hermes()
CALL = '{"name": "f", "arguments": {}}'


def tagged(*bodies: str) -> str:
    return "\n".join(f"<tool_call>\n{body}\n</tool_call>" for body in bodies)


def test_each_pair_of_tags_is_a_call_in_order():
    text = "<think>\nlook\n</think>\n\n" + tagged('{"name": "ls", "arguments": {"a": true}}', CALL)
    assert HERMES.parse(text) == ToolCalls("look", (ToolCall("ls", {"a": True}), ToolCall("f", {})))


def test_calls_are_written_as_qwen3s_template_renders_them():
    written = HERMES.write_calls("look", [ToolCall("ls", {"a": "é"}), ToolCall("pwd", {})])
    assert written == (
        "<think>\nlook\n</think>\n\n"
        '<tool_call>\n{"name": "ls", "arguments": {"a": "é"}}\n</tool_call>\n'
        '<tool_call>\n{"name": "pwd", "arguments": {}}\n</tool_call>'
    )


def test_without_a_thought_no_tags_of_a_thought_are_written():
    assert HERMES.write_answer("", "Done.") == "Done."
    assert HERMES.write_calls("", [ToolCall("pwd", {})]).startswith("<tool_call>")


def test_text_before_the_first_call_belongs_to_the_thought():
    assert HERMES.parse("I look first.\n" + tagged(CALL)) == ToolCalls("I look first.", (ToolCall("f", {}),))
    assert HERMES.parse("<think>hm</think>So:" + tagged(CALL)) == ToolCalls("hm\n\nSo:", (ToolCall("f", {}),))


def test_text_without_a_call_is_the_answer():
    assert HERMES.parse("It is done.\n") == FinalAnswer("", "It is done.")
    assert HERMES.parse("<think>\n\n</think>\n\nIt is done.") == FinalAnswer("", "It is done.")
    assert HERMES.parse('The file holds {"name": "Bo", "age": 3}.').text == 'The file holds {"name": "Bo", "age": 3}.'


@pytest.mark.parametrize(
    ("fault", "text"),
    [
        (FormatFault.REPEATED_TAG, "<think>a<think>b</think>c"),
        (FormatFault.WRONG_ORDER, "</think>a<think>"),
        (FormatFault.TEXT_OUTSIDE_TAGS, "Well, <think>t</think> done."),
        (FormatFault.TEXT_OUTSIDE_TAGS, tagged(CALL) + "<think>t</think>"),
        (FormatFault.UNCLOSED_TAG, f"<tool_call>{CALL}"),
        (FormatFault.UNCLOSED_TAG, f"<tool_call>{CALL}<tool_call>{CALL}</tool_call>"),
        (FormatFault.UNCLOSED_TAG, tagged(CALL) + "<tool_call>"),
        (FormatFault.UNOPENED_TAG, f"{CALL}</tool_call>"),
        (FormatFault.UNOPENED_TAG, tagged(CALL) + "</tool_call>"),
        (FormatFault.TEXT_BESIDE_CALLS, tagged(CALL) + "\nThat was it."),
        (FormatFault.TEXT_BESIDE_CALLS, tagged(CALL) + " and " + tagged(CALL)),
        (FormatFault.CALL_OUTSIDE_TAGS, CALL),
        (FormatFault.CALL_OUTSIDE_TAGS, f"<think>t</think>I call {CALL}"),
        (FormatFault.CALL_OUTSIDE_TAGS, '[{"name":"f","parameters":{}}]'),
        (FormatFault.INVALID_JSON, tagged("f()")),
        (FormatFault.INVALID_JSON, tagged(f"{CALL}\n{CALL}")),
        (FormatFault.INVALID_TEXT, tagged('{"name": "f", "arguments": {"a": "\\udfff"}}')),
        (FormatFault.DUPLICATE_KEY, tagged('{"name": "f", "name": "g", "arguments": {}}')),
        (FormatFault.INVALID_NUMBER, tagged('{"name": "f", "arguments": {"a": NaN}}')),
        (FormatFault.NESTED_TOO_DEEP, tagged('{"a":' * 21)),
        (FormatFault.NO_CALLS, "<tool_call> </tool_call>"),
        (FormatFault.TOO_MANY_CALLS, tagged(*[CALL] * 51)),
        (FormatFault.CALL_NOT_AN_OBJECT, tagged(f"[{CALL}]")),
        (FormatFault.CALL_NOT_AN_OBJECT, tagged('"f"')),
        (FormatFault.CALL_WITHOUT_NAME, tagged('{"arguments": {}}')),
        (FormatFault.CALL_WITHOUT_ARGUMENTS, tagged('{"name": "f", "parameters": {}}')),
        (FormatFault.CALL_WITHOUT_ARGUMENTS, tagged('{"name": "f", "arguments": "{}"}')),
        (FormatFault.CALL_WITH_UNKNOWN_KEY, tagged('{"name": "f", "arguments": {}, "id": 1}')),
    ],
)
def test_each_violation_has_its_fault_and_a_sentence_without_the_papers_tags(fault: FormatFault, text: str):
    action = HERMES.parse(text)
    assert isinstance(action, FormatError)
    assert action.fault is fault
    assert action.message.endswith(".")
    assert "\n" not in action.message
    assert "<answer>" not in action.message


def test_the_sentence_on_a_call_names_its_number():
    assert HERMES.parse(tagged(CALL, '{"name": 3}')).message.startswith("Call 2 needs")


def test_a_tag_inside_a_json_string_is_a_tag_unless_it_is_escaped():
    assert HERMES.parse(tagged('{"name": "f", "arguments": {"a": "<tool_call>"}}')).fault is FormatFault.UNCLOSED_TAG
    written = HERMES.write_calls("", [ToolCall("f", {"a": "<tool_call>"})])
    assert "\\u003ctool_call>" in written


def test_an_answer_that_would_be_read_as_a_call_is_refused():
    for text in (tagged(CALL), CALL, ""):
        with pytest.raises(ValueError, match="the response protocol cannot express this"):
            HERMES.write_answer("", text)


def test_calls_start_at_the_first_tag():
    text = "<think>t</think>\n\n" + tagged(CALL, CALL)
    assert text[HERMES.start_of_calls(text) :] == tagged(CALL, CALL)
