"""The chat template of an exported folder gives the ids of training."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import jinja2
import pytest
from model_templates import CHANNELS, GEMMA, GLM, LLAMA_2, MISTRAL, QWEN, R1, V31, ZEPHYR, byte_level, fallback
from native_templates import LLAMA3, LOOK, QWEN2, QWEN3, native_tokenizer
from toy_world import ANSWER, CHATML, DOCUMENTS, LS, MKDIR
from transformers import AutoTokenizer

from envtune.chat.exported_template import template_to_export, trained_template
from envtune.chat.function_document import function_document
from envtune.chat.prompt import PromptStyle
from envtune.chat.protocol.hermes import Hermes
from envtune.chat.protocol.llama3_json import Llama3Json
from envtune.chat.protocol.response_protocol import ResponseProtocol
from envtune.chat.template import Template
from envtune.chat.trained_conversation import trained_conversation

DATED = "{{ strftime_now('%Y') }}" + CHATML
BEGINS = CHATML.replace("assistant\n{% endif %}", "assistant\n<think>\n{% endif %}")
STYLE = PromptStyle("compact", "short")
KINDS = {
    "qwen": (QWEN, None, "<|im_end|>"),
    "qwen on": (QWEN, "on", "<|im_end|>"),
    "qwen off": (QWEN, "off", "<|im_end|>"),
    "r1": (R1, None, "<|im_end|>"),
    "v3.1 on": (V31, "on", "<|im_end|>"),
    "glm off": (GLM, "off", "<|im_end|>"),
    "channels": (CHANNELS, None, "<|im_end|>"),
    "llama 2": (LLAMA_2, None, "</s>"),
    "mistral": (MISTRAL, None, "</s>"),
    "gemma": (GEMMA, None, "<end_of_turn>"),
    "dated": (DATED, None, "<|im_end|>"),
}
KEPT = {"chatml": (CHATML, "<|im_end|>"), "begins": (BEGINS, "<|im_end|>"), "zephyr": (ZEPHYR, "</s>")}


def exported(fast: Any, template: Template, folder: Path) -> Any:
    """Return the tokenizer of a folder that was exported from a run with ``template``."""
    fast.chat_template = template_to_export(template)
    fast.save_pretrained(folder)
    return AutoTokenizer.from_pretrained(folder)


def conversation(template: Template) -> tuple[list[dict[str, str]], list[int]]:
    """Return four turns as messages, results of tools in their own role, and the ids of training."""
    said = ("Make a.", MKDIR), ("[1] mkdir: None", ANSWER), ("What is here?", LS), ("[1] ls: a", ANSWER)
    messages = [{"role": "system", "content": STYLE.system_prompt(DOCUMENTS)}]
    ids: list[int] = []
    for text, response in said:
        ids += template.append(text) if ids else template.open(text, DOCUMENTS)
        completion = template.reply(response)
        ids += completion
        role = "tool" if text.startswith("[") else "user"
        messages.append({"role": role, "content": text})
        messages.append({"role": "assistant", "content": template.decode(completion[:-1])})
    return [*messages, {"role": "user", "content": "Bye."}], [*ids, *template.append("Bye.")]


@pytest.mark.parametrize("kind", KINDS)
def test_an_exported_folder_renders_the_ids_of_training(kind: str, tmp_path: Path) -> None:
    chat_template, thinking, end = KINDS[kind]
    fast = byte_level(chat_template, end)
    template = Template(fast, PromptStyle("compact", "short", thinking))  # type: ignore[arg-type]
    messages, ids = conversation(template)
    loaded = exported(fast, template, tmp_path)
    assert loaded.apply_chat_template(messages, add_generation_prompt=True)["input_ids"] == ids
    # Nothing is lost, and the file names its source.
    assert loaded.chat_template["original"] == chat_template
    assert (tmp_path / "additional_chat_templates/original.jinja").read_text(encoding="utf-8") == chat_template
    first_line = (tmp_path / "chat_template.jinja").read_text(encoding="utf-8").splitlines()[0]
    assert first_line.startswith("{#- Written by envtune from the chat template that the policy was trained with")
    # What is served or trained on from here on is the same.
    assert conversation(Template(loaded, STYLE)) == (messages, ids)


@pytest.mark.parametrize("inserts", ["normalizer", "always", "first", "never", "nothing"])
@pytest.mark.parametrize(("chat_template", "end"), [(LLAMA_2, "</s>"), (GEMMA, "<end_of_turn>")])
def test_an_exported_folder_of_sentence_pieces_renders_the_ids_of_training(
    chat_template: str, end: str, inserts: str, tmp_path: Path
) -> None:
    fast = fallback(chat_template, inserts, end)
    template = Template(fast, STYLE)
    messages, ids = conversation(template)
    loaded = exported(fast, template, tmp_path)
    assert loaded.apply_chat_template(messages, add_generation_prompt=True)["input_ids"] == ids


@pytest.mark.parametrize("kind", KEPT)
def test_a_template_that_renders_what_was_trained_is_kept(kind: str, tmp_path: Path) -> None:
    chat_template, end = KEPT[kind]
    fast = byte_level(chat_template, end)
    loaded = exported(fast, Template(fast, STYLE), tmp_path)
    assert loaded.chat_template == chat_template
    assert not (tmp_path / "additional_chat_templates").exists()


def test_the_templates_that_a_model_has_by_name_are_kept_and_not_chosen_where_tools_are_given(tmp_path: Path) -> None:
    fast = byte_level(QWEN)
    fast.chat_template = {"default": QWEN, "tool_use": ZEPHYR}
    template = Template(fast, STYLE)
    messages, ids = conversation(template)
    loaded = exported(fast, template, tmp_path)
    assert loaded.chat_template["original"] == QWEN
    assert loaded.chat_template["original_tool_use"] == ZEPHYR
    tools = [{"type": "function", "function": {"name": "ls", "description": "List.", "parameters": {}}}]
    assert loaded.apply_chat_template(messages, tools=tools, add_generation_prompt=True)["input_ids"] == ids


def made(chat_template: str) -> Any:
    fast = byte_level(chat_template)
    fast.chat_template = template_to_export(Template(fast, STYLE))
    return lambda *messages, **options: fast.apply_chat_template(
        [{"role": role, "content": content} for role, content in messages], tokenize=False, **options
    )


def test_an_assistants_message_without_the_pre_filled_text_gets_it_back() -> None:
    render = made(R1)
    pair = [("user", "a"), ("assistant", "b</think><answer>c</answer>")]
    whole = [pair[0], ("assistant", "<think>\nb</think><answer>c</answer>")]
    assert render(*pair) == render(*whole) == "<|user|>a<|assistant|><think>\nb</think><answer>c</answer><|im_end|>"


def test_messages_without_a_reply_between_them_are_one_message() -> None:
    assert made(QWEN)(("user", "a"), ("user", "b"), ("tool", "c"), add_generation_prompt=True).endswith(
        "<|im_start|>user\na\n\nb\n\nc<|im_end|>\n<|im_start|>assistant\n"
    )


def test_the_first_message_of_the_user_has_no_gap_before_it_where_the_system_prompt_would_be() -> None:
    fast = byte_level(GEMMA, "<end_of_turn>")
    fast.chat_template = template_to_export(Template(fast, STYLE))
    assert fast.apply_chat_template([{"role": "user", "content": "a"}], tokenize=False) == "<s><start_of_turn>user\na"


@pytest.mark.parametrize(
    "messages", [[("assistant", "a")], [("user", "a"), ("system", "b")], [("user", "a"), ("critic", "b")]]
)
def test_a_message_that_training_never_has_is_refused(messages: list[tuple[str, str]]) -> None:
    with pytest.raises(jinja2.exceptions.TemplateError, match="is not possible here"):
        made(QWEN)(*messages)


def test_calls_beside_the_content_are_refused_instead_of_left_out() -> None:
    fast = byte_level(QWEN)
    fast.chat_template = template_to_export(Template(fast, STYLE))
    calls = [{"type": "function", "function": {"name": "ls", "arguments": {}}}]
    messages = [{"role": "user", "content": "a"}, {"role": "assistant", "content": "", "tool_calls": calls}]
    with pytest.raises(jinja2.exceptions.TemplateError, match="Give the whole response of the assistant"):
        fast.apply_chat_template(messages, tokenize=False)


def test_text_of_the_template_is_quoted_in_the_exported_one(tmp_path: Path) -> None:
    odd = "{{ '\"\\'}} {% x %} #} \\\\n ü 😀' }}" + QWEN
    fast = byte_level(odd)
    template = Template(fast, STYLE)
    messages, ids = conversation(template)
    assert "😀" in template.pieces.before_system
    loaded = exported(fast, template, tmp_path)
    assert loaded.apply_chat_template(messages, add_generation_prompt=True)["input_ids"] == ids


@pytest.mark.parametrize(("chat_template", "protocol"), [(QWEN2, Hermes()), (QWEN3, Hermes()), (LLAMA3, Llama3Json())])
def test_an_exported_folder_documents_tools_and_shows_results_as_in_training(
    chat_template: str, protocol: ResponseProtocol, tmp_path: Path
) -> None:
    fast, style = native_tokenizer(chat_template), PromptStyle("full", "short")
    template = Template(fast, style, protocol=protocol)
    trained, opened = trained_conversation(template), template.open("Hi.", [LOOK])
    fast.chat_template = {"default": trained_template(template), "original": chat_template}
    fast.save_pretrained(tmp_path)
    assert len(trained.tools) == 1
    served = AutoTokenizer.from_pretrained(tmp_path)
    said = [{"role": "system", "content": style.undocumented_prompt("", protocol)}, {"role": "user", "content": "Hi."}]
    prompt = served.apply_chat_template(said, [function_document(LOOK)], add_generation_prompt=True)["input_ids"]
    assert prompt == opened
    # A run that starts from the exported folder continues in the same form.
    again = trained_conversation(Template(served, style, protocol=protocol))
    assert (again.text, again.ids) == (trained.text, trained.ids)
    whole = served.apply_chat_template(list(trained.messages), list(trained.tools), add_generation_prompt=True)
    assert whole["input_ids"] == list(trained.ids)


def test_a_native_template_that_drops_thoughts_is_replaced_and_one_that_keeps_them_is_not() -> None:
    kept, dropping = (Template(native_tokenizer(kind), STYLE, protocol=Hermes()) for kind in (QWEN2, QWEN3))
    assert template_to_export(kept) == QWEN2
    assert template_to_export(dropping) == {"default": trained_template(dropping), "original": QWEN3}
