from __future__ import annotations

import pytest

from envtune.chat.protocol.llama3_json import Llama3Json
from envtune.task import ToolCall
from envtune.trajectory import FinalAnswer, FormatError, FormatFault, ToolCalls

LLAMA = Llama3Json()
CALL = '{"name": "f", "parameters": {}}'
READ = ToolCall("f", {})


@pytest.mark.parametrize(
    "text",
    [
        f"{CALL}; {CALL}",
        f"{CALL}\n{CALL}",
        f"<|python_tag|>{CALL} ;\n{CALL};",
        '{"type": "function", "name": "f", "parameters": {}}\n\n' + CALL,
    ],
)
def test_calls_are_separated_by_semicolons_or_lines(text: str):
    assert LLAMA.parse(text) == ToolCalls("", (READ, READ))


def test_a_separator_inside_a_string_separates_nothing():
    calls = (ToolCall("f", {"a": "x; {\n}"}), READ)
    assert LLAMA.parse(LLAMA.write_calls("", calls)) == ToolCalls("", calls)


def test_calls_are_written_with_parameters_and_without_tags():
    assert LLAMA.write_calls("", [ToolCall("f", {"a": 1})]) == '{"name": "f", "parameters": {"a": 1}}'
    assert LLAMA.write_calls("hm", [READ]) == f"<think>hm</think>\n{CALL}"


def test_text_without_a_call_is_the_answer():
    assert LLAMA.parse(" It is done. ") == FinalAnswer("", "It is done.")
    assert LLAMA.parse("[1] It is done.") == FinalAnswer("", "[1] It is done.")


@pytest.mark.parametrize(
    ("fault", "text"),
    [
        (FormatFault.TEXT_BESIDE_CALLS, f"I call {CALL}"),
        (FormatFault.TEXT_BESIDE_CALLS, f"[{CALL}]"),
        (FormatFault.TEXT_BESIDE_CALLS, f"{CALL} is my call"),
        (FormatFault.TEXT_BESIDE_CALLS, f"{CALL}{CALL}"),
        (FormatFault.TEXT_BESIDE_CALLS, f"{CALL}, {CALL}"),
        (FormatFault.INVALID_JSON, f"{CALL}; now"),
        (FormatFault.INVALID_JSON, "{f()}"),
        (FormatFault.INVALID_JSON, "<|python_tag|>f.call(a=1)"),
        (FormatFault.INVALID_NUMBER, '{"name": "f", "parameters": {"a": Infinity}}'),
        (FormatFault.INVALID_TEXT, '{"name": "f", "parameters": {"a": "\\udfff"}}'),
        (FormatFault.DUPLICATE_KEY, '{"name": "f", "parameters": {}, "parameters": {}}'),
        (FormatFault.NESTED_TOO_DEEP, '{"a":' * 21),
        (FormatFault.NO_ACTION, "<|python_tag|>"),
        (FormatFault.TOO_MANY_CALLS, ";".join([CALL] * 51)),
        (FormatFault.CALL_NOT_AN_OBJECT, f"{CALL}; 3"),
        (FormatFault.CALL_WITHOUT_NAME, '{"parameters": {}}'),
        (FormatFault.CALL_WITHOUT_ARGUMENTS, '{"name": "f", "arguments": {}}'),
        (FormatFault.CALL_WITH_UNKNOWN_KEY, '{"name": "f", "parameters": {}, "type": "tool"}'),
        (FormatFault.TEXT_OUTSIDE_TAGS, f"{CALL}<think>t</think>"),
        (FormatFault.REPEATED_TAG, "<think>t</think></think>"),
    ],
)
def test_each_violation_has_its_fault(fault: FormatFault, text: str):
    action = LLAMA.parse(text)
    assert isinstance(action, FormatError)
    assert action.fault is fault
    assert action.message.endswith(".")
    assert "\n" not in action.message


def test_calls_start_at_the_python_tag_or_the_first_object():
    assert LLAMA.start_of_calls(f"<think>{{}}</think> {CALL}") == len("<think>{}</think> ")
    assert LLAMA.start_of_calls(f"<|python_tag|>{CALL}") == 0
