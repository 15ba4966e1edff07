"""Cues: which documents have them, what they change in both styles of prompt, and when they are shown."""

from __future__ import annotations

import copy
import json
from dataclasses import replace
from typing import Any

import pytest
from toy_world import DOCUMENTS, IDLE, STYLE, ScriptedGenerator, always, toy_collector, toy_task

from envtune.bfcl.benchmark import tool_documents
from envtune.bfcl.environment import BFCL_ENVIRONMENT
from envtune.bfcl.worlds import TOOLBOXES
from envtune.chat.prompt import compact_document, full_document
from envtune.chat.template import Template
from envtune.environment.augmentation import Augmentation
from envtune.environment.augmentation.actionable import Actionable
from envtune.environment.augmentation.annealed import Annealed
from envtune.environment.augmentation.cues import cued
from envtune.environment.augmentation.none import NoAugmentation
from envtune.environment.augmentation.schema import SchemaHints
from envtune.environment.episode import Episode
from envtune.rollout.collector import EpisodeRequest
from envtune.task import ToolDocument
from envtune.trajectory import FinalAnswer

ORDER = ToolDocument(
    "order",
    "Order a book.",
    {
        "type": "object",
        "properties": {
            "title": {"type": "string", "description": "The title."},
            "binding": {"enum": ["paper", "cloth"], "description": "How it is bound.", "default": "paper"},
            "lines": {
                "type": "array",
                "items": {
                    "type": "object",
                    "properties": {"copies": {"type": "integer"}, "note": {}},
                    "required": ["copies"],
                },
            },
            "size": {"anyOf": [{"enum": [1, "ü"]}, {"type": "null"}]},
        },
        "required": ["title", "lines"],
    },
)
CUED = {
    "type": "object",
    "properties": {
        "title": {"type": "string", "description": "[required] The title."},
        "binding": {
            "enum": ["paper", "cloth"],
            "description": 'How it is bound. Allowed values: "paper", "cloth".',
            "default": "paper",
        },
        "lines": {
            "type": "array",
            "items": {
                "type": "object",
                "properties": {"copies": {"type": "integer", "description": "[required]"}, "note": {}},
                "required": ["copies"],
            },
            "description": "[required]",
        },
        "size": {"anyOf": [{"enum": [1, "ü"], "description": 'Allowed values: 1, "ü".'}, {"type": "null"}]},
    },
    "required": ["title", "lines"],
}
ALL = [document for toolbox in TOOLBOXES for document in tool_documents(toolbox)]
WITH_REQUIRED = tuple(
    replace(
        document, parameters={"type": "dict", "properties": {"dir_name": {"type": "string"}}, "required": ["dir_name"]}
    )
    for document in DOCUMENTS
)
TASK = replace(toy_task(), tools=WITH_REQUIRED)


def opening(augmentation: Augmentation, task: Any = TASK) -> tuple[ToolDocument, ...]:
    hints = augmentation.for_episode(BFCL_ENVIRONMENT, task, 0)
    return Episode(BFCL_ENVIRONMENT, task, lambda text: pytest.fail(text), hints, 1).reset().new_tools


def test_cues_mark_required_arguments_and_repeat_allowed_values_at_any_depth():
    original = copy.deepcopy(ORDER.parameters)
    assert cued(ORDER) == replace(ORDER, parameters=CUED)
    assert ORDER.parameters == original


def test_cues_are_in_recursive_definitions_and_leave_other_schemas_alone():
    node = {"type": "object", "properties": {"name": {}, "rest": True}, "required": ["name"]}
    tool = ToolDocument("f", "", {"properties": {"x": {"$ref": "#/$defs/N"}}, "$defs": {"N": node}})
    marked = {**node, "properties": {"name": {"description": "[required]"}, "rest": True}}
    assert cued(tool).parameters == {"properties": {"x": {"$ref": "#/$defs/N"}}, "$defs": {"N": marked}}


def test_the_full_document_has_the_cues_in_its_descriptions():
    assert json.loads(full_document(cued(ORDER)))["parameters"] == CUED


def test_the_compact_document_marks_required_arguments_and_has_allowed_values_anyway():
    plain = (
        'order(title: str, binding: "paper"|"cloth" = "paper", lines: list[{copies: int, note: any}], '
        'size?: 1|"ü"|null)'
    )
    assert compact_document(ORDER) == f"{plain}: Order a book."
    marked = plain.replace("title:", "[required] title:").replace("lines:", "[required] lines:")
    assert compact_document(cued(ORDER)) == f"{marked}: Order a book."


def test_in_every_document_of_bfcl_every_required_argument_is_marked_and_nothing_else_changes():
    for document in ALL:
        properties = document.parameters["properties"]
        marked = cued(document).parameters["properties"]
        for name, schema in properties.items():
            cue = "[required] " if name in document.parameters["required"] else ""
            assert marked[name] == {**schema, "description": cue + schema["description"]}
        assert compact_document(cued(document)).count("[required] ") == len(document.parameters["required"])
        assert "[required]" not in full_document(document) + compact_document(document)


@pytest.mark.parametrize("kind", [SchemaHints, Actionable])
def test_documents_of_an_episode_have_cues_only_if_they_are_asked_for(kind):
    assert opening(kind(cues=True)) == tuple(map(cued, WITH_REQUIRED))
    # The same objects: no byte of a prompt can differ.
    assert all(shown is tool for shown, tool in zip(opening(kind()), WITH_REQUIRED, strict=True))
    assert all(shown is tool for shown, tool in zip(opening(NoAugmentation()), WITH_REQUIRED, strict=True))


def test_tools_handed_over_later_have_cues_as_well():
    turns = (replace(TASK.turns[0], ground_truth=()), replace(TASK.turns[1], new_tools=("ls",)))
    task = replace(TASK, turns=turns)
    hints = SchemaHints(cues=True).for_episode(BFCL_ENVIRONMENT, task, 0)
    episode = Episode(BFCL_ENVIRONMENT, task, lambda text: FinalAnswer("", text), hints, 1)
    assert episode.reset().new_tools == (cued(WITH_REQUIRED[0]),)
    assert episode.step("Done.").new_tools == (cued(WITH_REQUIRED[1]),)


def annealed(level: float, cues: bool = True) -> Annealed:
    augmentation = Annealed(SchemaHints(cues), window=1, measure="success", full_until=0.0, none_from=1.0)
    augmentation.observe([level])
    return augmentation


def test_annealed_cues_disappear_task_by_task_and_are_those_of_the_whole_group():
    tasks = [replace(TASK, id=f"task_{number}") for number in range(200)]
    shown = {
        level: {task.id for task in tasks if opening(annealed(level), task) != WITH_REQUIRED}
        for level in (0, 0.3, 0.7, 1)
    }
    assert shown[0] == {task.id for task in tasks}
    assert shown[0] > shown[0.3] > shown[0.7] > shown[1] == set()
    # 0.7 within four standard errors of 200 draws: 4 * sqrt(0.7 * 0.3 / 200) = 0.13.
    assert abs(len(shown[0.3]) / 200 - 0.7) < 0.13
    for task in tasks[:5]:
        seeds = [annealed(0.5).for_episode(BFCL_ENVIRONMENT, task, seed).shown(WITH_REQUIRED[0]) for seed in range(20)]
        assert seeds == [seeds[0]] * 20
    assert opening(annealed(0.0, cues=False)) == WITH_REQUIRED


def test_training_reads_cues_and_validation_does_not(tokenizer: Any):
    collector = toy_collector(tokenizer, ScriptedGenerator(tokenizer, always(IDLE)), SchemaHints(cues=True))
    request = EpisodeRequest(TASK, seed=0)
    trained, validated = collector.play([request])[0], collector.play([request], hints=False)[0]
    template = Template(tokenizer, STYLE)
    for trajectory, tools in ((trained, tuple(map(cued, WITH_REQUIRED))), (validated, WITH_REQUIRED)):
        assert trajectory.tokens is not None
        expected = template.open(TASK.turns[0].message, tools)
        assert list(trajectory.tokens.ids[: trajectory.tokens.prompt_length]) == expected
    assert trained.tokens != validated.tokens
    assert [turn.verdict for turn in trained.turns] == [turn.verdict for turn in validated.turns]
