"""Tools in OpenAI's format against the documents of training."""

from __future__ import annotations

import json
import sys
from types import ModuleType
from typing import Any

import pytest

from envtune.bfcl.benchmark import tool_documents
from envtune.bfcl.worlds import TOOLBOXES
from envtune.chat.prompt import compact_document, full_document
from envtune.serving.documents import read_tools
from envtune.serving.refusal import Refusal

# Imports of the harness for other languages and vendors, which these tests do not call.
FOREIGN = ("tree_sitter", "tree_sitter_java", "tree_sitter_javascript", "tenacity")


@pytest.fixture
def harness(monkeypatch: pytest.MonkeyPatch) -> Any:
    """The translation of documents in the official package."""

    class Anything(ModuleType):
        def __getattr__(self, name: str) -> Any:
            return lambda *_, **__: self

    before = set(sys.modules)
    for name in FOREIGN:
        monkeypatch.setitem(sys.modules, name, Anything(name))
    import bfcl_eval.model_handler.utils as utils

    yield utils
    for name in set(sys.modules) - before:
        if name.startswith("bfcl_eval.model_handler"):
            del sys.modules[name]


def test_tools_of_bfcls_harness_become_the_documents_of_training(harness: Any) -> None:
    from bfcl_eval.constants.enums import ModelStyle
    from bfcl_eval.constants.type_mappings import GORILLA_TO_OPENAPI
    from bfcl_eval.utils import add_language_specific_hint_to_function_doc

    for toolbox in TOOLBOXES:
        trained = tool_documents(toolbox)
        functions = [json.loads(json.dumps(_entry(document))) for document in trained]
        entry = {"id": "multi_turn_base_0", "function": functions}
        add_language_specific_hint_to_function_doc([entry])
        sent = harness.convert_to_tool(entry["function"], GORILLA_TO_OPENAPI, ModelStyle.OPENAI_COMPLETIONS)
        read = read_tools(sent, 512)
        assert len(read) == len(trained) > 0
        for ours, theirs in zip(read, trained, strict=True):
            assert full_document(ours) == full_document(theirs)
            assert compact_document(ours) == compact_document(theirs)


def _entry(document: Any) -> dict[str, Any]:
    names = ("name", "description", "parameters", "response")
    return {name: getattr(document, name) for name in names}


def test_a_json_schema_gets_the_types_of_training() -> None:
    properties = {"x": {"type": "number"}, "points": {"type": "array", "items": {"type": "object"}}}
    parameters = {"type": "object", "properties": properties, "required": ["x"]}
    (tool,) = read_tools([{"function": {"name": "plot", "description": "Plot. Fast.", "parameters": parameters}}], 1)
    assert compact_document(tool) == "plot(x: float, points?: list[dict]): Plot."
    assert parameters["type"] == "object"


def test_a_tool_without_parameters_has_an_empty_signature() -> None:
    (tool,) = read_tools([{"type": "function", "function": {"name": "pwd", "description": None}}], 1)
    assert compact_document(tool) == "pwd(): "


def nested(levels: int) -> dict[str, Any]:
    return {"type": "array", "items": nested(levels - 1)} if levels else {"type": "string"}


@pytest.mark.parametrize(
    "parameters",
    [
        [0],
        {"type": "object", "properties": []},
        {"type": "object", "properties": {"a": "string"}},
        {"type": "object", "required": "a"},
        {"type": "object", "required": [1]},
        {"type": "array", "items": ["string"]},
        nested(30),
    ],
)
def test_an_invalid_schema_is_refused(parameters: Any) -> None:
    with pytest.raises(Refusal) as refusal:
        read_tools([{"function": {"name": "f", "parameters": parameters}}], 1)
    assert refusal.value.status == 400
    assert refusal.value.param.startswith("tools[0].function.parameters")  # type: ignore[union-attr]
