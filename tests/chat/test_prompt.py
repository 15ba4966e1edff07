from __future__ import annotations

import json

import pytest

from envtune.chat.prompt import PromptStyle, compact_document, full_document
from envtune.task import ToolDocument

TAIL = ToolDocument(
    "tail",
    "This tool belongs to the file system. It is simple. Tool description: Show the end of a file.  Never a folder.",
    {
        "type": "dict",
        "properties": {
            "file_name": {"type": "string"},
            "lines": {"type": "integer", "default": 10},
            "mode": {"type": "string", "default": "None"},
            "tags": {"type": "array", "items": {"type": "string"}},
        },
        "required": ["file_name", "tags"],
    },
)
PWD = ToolDocument("pwd", "Where am I", {"type": "dict", "properties": {}})
TICKET = ToolDocument(
    "edit",
    "Edit.",
    {
        "type": "dict",
        "properties": {
            "updates": {"type": "dict", "properties": {"title": {"type": "string"}, "level": {"type": "integer"}}},
            "side": {"type": "string", "enum": ["a", "b"]},
        },
        "required": ["updates", "side"],
    },
)


def test_a_compact_document_is_the_signature_and_the_first_sentence_of_the_description():
    assert compact_document(TAIL) == (
        "tail(file_name: str, lines: int = 10, mode?: str, tags: list[str]): Show the end of a file."
    )
    assert compact_document(PWD) == "pwd(): Where am I"


def test_a_compact_document_lists_fields_and_allowed_values():
    assert compact_document(TICKET) == 'edit(updates: {title: str, level: int}, side: "a"|"b"): Edit.'


def test_a_full_document_is_the_whole_document_as_json():
    assert json.loads(full_document(TAIL)) == {
        "name": "tail",
        "description": TAIL.description,
        "parameters": TAIL.parameters,
    }


def test_the_system_prompt_ends_with_one_line_per_tool():
    for style, document in (("compact", compact_document), ("full", full_document)):
        prompt = PromptStyle(style, "short").system_prompt([TAIL, PWD])
        assert prompt.endswith(f"\nTools:\n{document(TAIL)}\n{document(PWD)}")


def test_the_long_instructions_are_the_short_ones_and_notes():
    short, long = (PromptStyle("compact", instructions).system_prompt([]) for instructions in ("short", "long"))
    assert long.startswith(short.removesuffix("\n\nTools:\n"))
    assert "Notes:" in long
    assert "Notes:" not in short


def test_the_prompt_shows_both_response_forms():
    prompt = PromptStyle("compact", "short").system_prompt([])
    assert "<think>" in prompt
    assert "<tool_call>[{" in prompt
    assert "<answer>" in prompt


def test_new_tools_are_introduced_and_an_empty_list_adds_no_text():
    assert PromptStyle("compact").handed_over([PWD]) == "New tools:\npwd(): Where am I"
    assert PromptStyle("compact").handed_over([]) == ""


def test_an_unknown_style_is_refused_with_the_valid_ones():
    with pytest.raises(ValueError, match="tool_documents='short' must be one of full, compact"):
        PromptStyle(tool_documents="short")
    with pytest.raises(ValueError, match="instructions='tiny' must be one of short, long"):
        PromptStyle(instructions="tiny")
