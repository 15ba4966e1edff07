"""Templates are read with the response protocol: what they pre-fill, drop and rewrite."""

from __future__ import annotations

import re
from typing import Any

import pytest
from model_templates import CHANNELS, GEMMA, GLM, LLAMA_2, MISTRAL, QWEN, R1, V31, byte_level
from toy_world import ANSWER, CHATML, MKDIR, STYLE

from envtune.chat.prefilled import behind_prefix
from envtune.chat.prompt import PromptStyle
from envtune.chat.protocol import parse, write_calls
from envtune.chat.template import Template
from envtune.chat.trained_conversation import differences_from_own, trained_conversation
from envtune.errors import UserError
from envtune.task import ToolCall
from envtune.trajectory import FinalAnswer

CALLS = write_calls("look", [ToolCall("ls", {})])
BEGUN, ENDED = "<think>\n", "<think>\n\n</think>\n\n"


def template_of(chat_template: str, thinking: Any = None, **tokens: Any) -> Template:
    return Template(byte_level(chat_template, **tokens), PromptStyle("compact", "short", thinking))


@pytest.mark.parametrize(
    ("chat_template", "thinking", "prefix"),
    [
        (CHATML, None, ""),
        (QWEN, None, ""),
        (QWEN, "off", ENDED),
        (R1, None, BEGUN),
        (V31, "on", "<think>"),
        (V31, "off", ""),
        (GLM, None, ""),
        (GLM, "off", "<think></think>"),
        (CHANNELS, None, ""),
        (LLAMA_2, None, ""),
    ],
)
def test_the_end_of_the_generation_prompt_that_begins_a_thought_belongs_to_the_response(
    chat_template: str, thinking: str | None, prefix: str
) -> None:
    end = "</s>" if chat_template is LLAMA_2 else "<|im_end|>"
    template = template_of(chat_template, thinking, end=end)
    assert template.prefix == prefix
    sampled = byte_level(chat_template).encode("hm</think><answer>Yes.</answer>", add_special_tokens=False)
    assert template.decode(sampled) == f"{prefix}hm</think><answer>Yes.</answer>"


def test_a_thought_that_the_template_has_begun_is_no_format_error() -> None:
    template = template_of(R1)
    sampled = byte_level(R1).encode("I see.\n</think>\n<answer>Yes.</answer><|im_end|>", add_special_tokens=False)
    assert parse(template.decode(sampled)) == FinalAnswer("I see.", "Yes.")


def test_control_tokens_behind_the_role_are_not_part_of_the_response() -> None:
    final = CHATML.replace("assistant\n{% endif %}", "assistant\n<|channel|><|message|><think>\n{% endif %}")
    template = template_of(final)
    assert template.prefix == "<think>\n"
    assert template.pieces.header == "<|im_end|>\n<|im_start|>assistant\n<|channel|><|message|>"


@pytest.mark.parametrize(
    ("prefix", "response", "completion"),
    [
        ("", CALLS, CALLS),
        (BEGUN, CALLS, CALLS.removeprefix("<think>")),
        (BEGUN, "<think>\n look</think>", " look</think>"),
        (BEGUN, " <think> \n look</think>", "look</think>"),
        ("<think>", "<think>\nlook</think>", "\nlook</think>"),
        (ENDED, "<think></think>\n<answer>Yes.</answer>", "<answer>Yes.</answer>"),
        (ENDED, "<think>hm</think>\n<answer>Yes.</answer>", "<answer>Yes.</answer>"),
        ("<think></think>", "<think></think><answer>Yes.</answer>", "<answer>Yes.</answer>"),
        (ENDED, "I broke the protocol.", "I broke the protocol."),
    ],
)
def test_a_completion_is_the_response_behind_the_pre_filled_text(prefix: str, response: str, completion: str) -> None:
    assert behind_prefix(prefix, response) == completion


@pytest.mark.parametrize(("chat_template", "thinking"), [(R1, None), (QWEN, "off"), (GLM, "off"), (V31, "on")])
def test_a_rewritten_reply_holds_the_pre_filled_text_once(chat_template: str, thinking: str | None) -> None:
    fast, template = byte_level(chat_template), template_of(chat_template, thinking)
    for response in (CALLS, ANSWER):
        text = fast.decode([*template.open("Hello.", []), *template.reply(response)]).rpartition("Hello.")[2]
        assert text.count("<think>") == text.count("</think>") == 1
        assert type(parse(template.prefix + behind_prefix(template.prefix, response))) is type(parse(response))


def test_text_that_no_response_begins_with_is_refused() -> None:
    polite = CHATML.replace("assistant\n{% endif %}", "assistant\nSure! {% endif %}")
    with pytest.raises(UserError, match="begins every response with 'Sure! ', but no response of the protocol"):
        template_of(polite)


@pytest.mark.parametrize(
    ("chat_template", "thinking", "found"),
    [
        (QWEN, None, "'ool_call>[{\"name\": \"ls\",' instead of 'hink>I look into it.</th'"),
        (QWEN, "off", "instead of 'hink>\\n\\n</think>\\n\\n<tool_c'"),
        (R1, None, "instead of '<think>\\nI look into it.<'"),
        (CHATML.replace("message.content }}", "message.content | replace('<tool_call>', '[TOOL]') }}"), None, "[TOOL]"),
        (CHATML.replace("{{ message.content }}", "{{ message.content.split() | join(' ') }}"), None, "instead of"),
        (CHANNELS, None, "'' instead of '<|channel|>final<|messag'"),
    ],
    ids=["qwen", "qwen off", "r1", "rewritten tag", "white space", "channels"],
)
def test_a_template_that_rewrites_responses_trains_on_what_was_sampled_and_a_line_says_so(
    chat_template: str, thinking: str | None, found: str
) -> None:
    fast, template = byte_level(chat_template), template_of(chat_template, thinking)
    (line,) = differences_from_own(template)
    trained = trained_conversation(template)
    own = template.rendering.text_of(trained.messages, trained.tools)
    lengths = [len(fast.encode(text, add_special_tokens=False)) for text in (own, trained.text)]
    assert f"test conversation as {lengths[0]} tokens instead of {lengths[1]} (" in line
    assert found in line
    assert "\n" not in line
    assert len(trained.ids) == lengths[1]
    # The thoughts and calls of all turns stay.
    assert all(message["content"] in trained.text for message in trained.messages)


def test_a_template_that_keeps_responses_gives_no_line() -> None:
    assert differences_from_own(template_of(CHATML)) == []
    begins = CHATML.replace("assistant\n{% endif %}", "assistant\n<think>\n{% endif %}")
    assert differences_from_own(template_of(begins)) == []


def test_a_template_that_refuses_the_protocols_responses_trains_on_pieces_and_a_line_says_so() -> None:
    check = (
        "{% for m in messages %}{% if '<tool_call>' in m.content and m.role != 'system' %}{{ raise_exception('no') }}"
    )
    (line,) = differences_from_own(template_of(f"{check}{{% endif %}}{{% endfor %}}{CHATML}"))
    assert line.startswith("the chat template refuses messages that training appends piece by piece: ")


@pytest.mark.parametrize(("chat_template", "end"), [(GEMMA, "<end_of_turn>"), (MISTRAL, "</s>")])
def test_without_a_system_role_the_system_prompt_begins_the_first_user_message(chat_template: str, end: str) -> None:
    fast = byte_level(chat_template, end)
    template = Template(fast, STYLE)
    messages = [
        {"role": "user", "content": f"{STYLE.system_prompt([])}\n\nHello."},
        {"role": "assistant", "content": MKDIR},
        {"role": "user", "content": "Bye."},
    ]
    whole = fast.apply_chat_template(messages, add_generation_prompt=True)["input_ids"]
    assert [*template.open("Hello.", []), *template.reply(MKDIR), *template.append("Bye.")] == whole
    assert differences_from_own(template)[0].startswith("the chat template has no system role: ")


def test_a_template_that_drops_the_system_message_gets_it_in_the_first_user_message() -> None:
    deaf = CHATML.replace("{% for message in messages %}", "{% for message in messages if message.role != 'system' %}")
    template = template_of(deaf)
    assert template.rendering.folds_system
    assert STYLE.system_prompt([]) in byte_level(deaf).decode(template.open("Hello.", []))


def test_spaces_before_the_end_token_are_left_to_the_model() -> None:
    template = template_of(LLAMA_2, end="</s>")
    assert template.pieces.closing == "</s><s>[INST] "
    assert byte_level(LLAMA_2).decode(template.reply(ANSWER)) == f" {ANSWER}</s>"


@pytest.mark.parametrize(("chat_template", "name"), [(QWEN, "enable_thinking"), (V31, "thinking")])
@pytest.mark.parametrize(("setting", "value"), [("on", True), ("off", False), (True, True), (False, False)])
def test_thinking_sets_the_switch_that_the_template_has(
    chat_template: str, name: str, setting: Any, value: bool
) -> None:
    template = template_of(chat_template, setting)
    assert template.rendering.switches == {name: value}
    assert template_of(chat_template).rendering.switches == {}


def test_a_template_without_a_switch_refuses_thinking() -> None:
    for setting, shown in (("on", "on"), (False, "off")):
        with pytest.raises(
            UserError, match=f"^prompt.thinking={shown} needs a chat template with a switch for it, but"
        ):
            template_of(CHATML, setting)


def test_a_switch_that_changes_nothing_beside_a_system_message_is_none() -> None:
    default = "{% if messages[0].role != 'system' and thinking %}Think.{% endif %}"
    with pytest.raises(UserError, match=re.escape("set prompt.thinking=null")):
        template_of(default + CHATML, "on")


def test_a_wrong_position_of_the_switch_is_refused() -> None:
    with pytest.raises(UserError, match=r"^thinking='maybe' must be one of on, off or true or false or null$"):
        PromptStyle(thinking="maybe")  # type: ignore[arg-type]
