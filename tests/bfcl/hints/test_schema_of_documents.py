"""Schema hints on BFCL's 128 tool documents, beside the table that covers the same mistakes there."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from failing_attempts import Attempt, attempts, ground_truth, values_in
from test_no_solution_leak import SHORTEST, told_calls, told_values, written

from envtune.bfcl.benchmark import load_bfcl_tasks, tool_documents
from envtune.bfcl.environment import BFCL_ENVIRONMENT
from envtune.bfcl.scenario import Scenario
from envtune.bfcl.worlds import TOOLBOXES
from envtune.environment.augmentation.document_fault import first_fault
from envtune.environment.augmentation.schema import SchemaHints
from envtune.task import Task, ToolCall, ToolDocument
from envtune.trajectory import Hint, ToolResult

DOCUMENTS = tuple(document for toolbox in TOOLBOXES for document in tool_documents(toolbox))
NAMES = frozenset(document.name for document in DOCUMENTS)
FITTING: dict[str, Any] = {"string": "a", "integer": 1, "float": 1.5, "boolean": True, "dict": {}}
# Of each type, values that JSON has and that a tool cannot take for it.
UNFIT: dict[str, list[Any]] = {
    "string": [1, True, ["a"], {}, None],
    "integer": ["1", 1.5, True, [1], None],
    "float": ["1.5", True, [1.5], None],
    "boolean": ["true", 1, [True], None],
    "array": ["a", 1, {}, None],
    "dict": ["a", 1, [], None],
}
# What the table has for a mistake, and what the documents have for it.
COUNTERPARTS = {
    "python.unexpected_argument": "schema.unknown_argument",
    "python.missing_argument": "schema.missing_argument",
    "python.unknown_tool": "schema.unknown_tool",
}


def rule(call: ToolCall, offered: frozenset[str] = NAMES) -> str | None:
    hint = hint_of(ToolResult(call, False, "failed"), DOCUMENTS, offered)
    return hint and hint.rule


def hint_of(result: ToolResult, documents: tuple[ToolDocument, ...], offered: frozenset[str]) -> Hint | None:
    task = Task("any", "base", Scenario(0, (), {}), (), documents)
    world: Any = SimpleNamespace(tools=offered)
    return SchemaHints().for_episode(BFCL_ENVIRONMENT, task, 0).hint(result, world)


def fitting(schema: dict[str, Any]) -> Any:
    return [fitting(schema["items"])] if schema["type"] == "array" else FITTING[schema["type"]]


def fitting_arguments(document: ToolDocument) -> dict[str, Any]:
    return {name: fitting(schema) for name, schema in document.parameters["properties"].items()}


def test_there_are_128_documents():
    assert (len(DOCUMENTS), len(NAMES)) == (128, 128)


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda document: document.name)
def test_every_wrong_call_of_a_tool_gets_the_rule_for_its_mistake(document):
    name, arguments = document.name, fitting_arguments(document)
    assert rule(ToolCall(name, arguments)) is None
    assert rule(ToolCall(f"{name}_now", arguments)) == "schema.unknown_tool"
    assert rule(ToolCall(name, {}), NAMES - {name}) == "schema.not_offered"
    assert rule(ToolCall(name, {**arguments, "colour": "red"})) == "schema.unknown_argument"
    required = document.parameters["required"]
    for parameter, schema in document.parameters["properties"].items():
        without = {key: value for key, value in arguments.items() if key != parameter}
        assert rule(ToolCall(name, without)) == ("schema.missing_argument" if parameter in required else None)
        for wrong in UNFIT[schema["type"]]:
            expected = None if wrong is None and schema.get("default") == "None" else "schema.wrong_type"
            assert rule(ToolCall(name, {**arguments, parameter: wrong})) == expected


def test_a_misspelt_name_of_a_tool_or_argument_is_met_with_the_right_one():
    for document in DOCUMENTS:
        misspelt = hint_of(ToolResult(ToolCall(f"{document.name}x", {}), False, ""), DOCUMENTS, NAMES)
        assert misspelt is not None
        assert f"`{document.name}`" in misspelt.text
        for parameter in document.parameters["properties"]:
            call = ToolCall(document.name, {f"{parameter}_": 1})
            hint = hint_of(ToolResult(call, False, ""), DOCUMENTS, NAMES)
            assert hint is not None
            assert f"'{parameter}'" in hint.text


def test_every_ground_truth_fits_the_documents_except_for_one_id_given_as_text():
    faults: Counter[tuple[str, str, object]] = Counter()
    for task in load_bfcl_tasks():
        documents = {document.name: document.parameters for document in task.tools}
        for call in ground_truth(task):
            if fault := first_fault(documents[call.name], call.arguments):
                faults[call.name, fault.place, fault.given] += 1
    assert faults == {("close_ticket", "ticket_id", "ticket_001"): 4}


@pytest.fixture(scope="module")
def attempted() -> list[tuple[Task, Attempt, Hint | None]]:
    """Failures of ground-truth calls gone wrong, in every sixteenth task, with their schema hints."""
    return [
        (task, attempt, hint_of(attempt.result, task.tools, offered(task, attempt)))
        for task in load_bfcl_tasks()[::16]
        for attempt in attempts(task)
        if not attempt.result.ok
    ]


def offered(task: Task, attempt: Attempt) -> frozenset[str]:
    refused = {attempt.result.call.name} if "no such tool is offered" in attempt.result.text else set()
    return frozenset(document.name for document in task.tools) - refused


def test_on_real_failures_documents_and_table_agree(attempted):
    agreed: Counter[str] = Counter()
    for _, attempt, hint in attempted:
        if attempt.way == "too early" or attempt.hint is None or attempt.hint.rule not in COUNTERPARTS:
            continue
        assert hint is not None
        assert hint.rule == COUNTERPARTS[attempt.hint.rule]
        agreed[hint.rule] += 1
    assert min(agreed[counterpart] for counterpart in COUNTERPARTS.values()) > 100


def test_calls_that_fit_their_documents_get_no_hint_however_they_fail(attempted):
    ways = {"another call's value", "late", "not logged in", "path", "repeated", "wrong directory"}
    assert {hint for _, attempt, hint in attempted if attempt.way in ways} == {None}


def test_no_schema_hint_tells_a_right_value_or_a_right_call(attempted):
    assert list(leaks(attempted)) == []


def leaks(attempted: list[tuple[Task, Attempt, Hint | None]]) -> Iterator[object]:
    for task, attempt, hint in attempted:
        if hint is None:
            continue
        calls = [call for call in ground_truth(task) if call.arguments]
        secrets = {text for call in calls for text in values_in(call.arguments) if len(text) >= SHORTEST}
        told = told_values(hint.text, secrets, written(attempt.result.call))
        yield from told_values(hint.text, set(told), attempt.known) if told else ()
        yield from told_calls(hint.text, calls, attempt.result.call)
