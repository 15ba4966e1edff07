from __future__ import annotations

import pytest

from envtune.chat.protocol.plain_json import PlainJson
from envtune.task import ToolCall
from envtune.trajectory import FinalAnswer, FormatError, FormatFault, ToolCalls

PLAIN = PlainJson()
CALL = '{"name": "f", "arguments": {}}'
READ = ToolCall("f", {})


@pytest.mark.parametrize(
    "text",
    [f"[{CALL}, {CALL}]", f"```json\n[{CALL}, {CALL}]\n```", f"```\n[{CALL},{CALL}]```", f"[\n{CALL},\n{CALL}\n]"],
)
def test_the_whole_response_is_a_list_of_calls_which_may_be_fenced(text: str):
    assert PLAIN.parse(text) == ToolCalls("", (READ, READ))
    assert PLAIN.parse(f"<think> hm </think>\n{text}") == ToolCalls("hm", (READ, READ))


@pytest.mark.parametrize("text", ["Done.", "[1] is the first.", "```python\nprint()\n```", "Use ```json\n[]\n```."])
def test_text_without_a_call_is_the_answer(text: str):
    assert PLAIN.parse(text) == FinalAnswer("", text)


@pytest.mark.parametrize(
    ("fault", "text"),
    [
        (FormatFault.TEXT_BESIDE_CALLS, f"I call [{CALL}]"),
        (FormatFault.TEXT_BESIDE_CALLS, f"Here:\n```json\n[{CALL}]\n```"),
        (FormatFault.INVALID_JSON, f"[{CALL}] now"),
        (FormatFault.INVALID_JSON, f"```json\n[{CALL}]\n``` and ```"),
        (FormatFault.INVALID_JSON, "[{f()}]"),
        (FormatFault.UNCLOSED_TAG, f"```json\n[{CALL}]"),
        (FormatFault.NOT_A_CALL_LIST, CALL),
        (FormatFault.NO_CALLS, "[ ]"),
        (FormatFault.TOO_MANY_CALLS, f"[{','.join([CALL] * 51)}]"),
        (FormatFault.CALL_WITHOUT_NAME, '[{"arguments": {}}]'),
        (FormatFault.CALL_NOT_AN_OBJECT, f"[{CALL}, 3]"),
        (FormatFault.CALL_WITHOUT_ARGUMENTS, '[{"name": "f"}]'),
        (FormatFault.CALL_WITH_UNKNOWN_KEY, '[{"name": "f", "arguments": {}, "id": 1}]'),
        (FormatFault.DUPLICATE_KEY, '[{"name": "f", "name": "f", "arguments": {}}]'),
        (FormatFault.NESTED_TOO_DEEP, "[[" + '{"a":' * 21 + "}" * 21),
        (FormatFault.INVALID_NUMBER, '[{"name": "f", "arguments": {"a": -Infinity}}]'),
        (FormatFault.INVALID_TEXT, '[{"name": "f", "arguments": {"a": "\\udfff"}}]'),
    ],
)
def test_each_violation_has_its_fault(fault: FormatFault, text: str):
    action = PLAIN.parse(text)
    assert isinstance(action, FormatError), action
    assert action.fault is fault
    assert action.message.endswith(".")
    assert "\n" not in action.message


def test_calls_start_behind_the_thought():
    text = f"<think>[</think>\n[{CALL}]"
    assert text[PLAIN.start_of_calls(text) :] == f"[{CALL}]"
