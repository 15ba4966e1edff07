from __future__ import annotations

from typing import Any

import pytest

from envtune.environment.checker import judge_state
from envtune.environment.limits import results, tree
from envtune.environment.toolbox import PARAMETERS, Toolbox
from envtune.task import Category, Task, ToolCall, ToolDocument, UserTurn
from envtune.trajectory import ToolResult

DOCUMENTS = tuple(ToolDocument(name, "", {}) for name in PARAMETERS)


def _toolbox(name: str) -> Toolbox:
    return Toolbox(Task("t", Category.BASE, 0, (name,), {}, DOCUMENTS, (UserTurn("Hello", ()),)))


def _call(toolbox: Toolbox, name: str, **arguments: Any) -> ToolResult:
    return toolbox.call(ToolCall(name, arguments))


def _nested(depth: int) -> list[Any]:
    value: list[Any] = []
    for _ in range(depth - 1):
        value = [value]
    return value


@pytest.mark.parametrize(
    ("name", "arguments", "message"),
    [
        ("power", {"base": 7, "exponent": 10**7}, "too large to write down"),
        ("power", {"base": -10, "exponent": 10**9}, "too large to write down"),
        ("power", {"base": 10**2000, "exponent": 2}, "more than 4096 bits"),
        ("logarithm", {"value": 2, "base": 3, "precision": 10**5}, "beyond 1000 digits"),
        ("logarithm", {"value": 2, "base": 3, "precision": "100000"}, "beyond 1000 digits"),
        ("square_root", {"number": 2, "precision": 10**6}, "beyond 1000 digits"),
        ("round_number", {"number": 1, "decimal_places": -(10**9)}, "beyond 1000 digits"),
        ("add", {"a": float("nan"), "b": 1}, "not a number"),
        ("mean", {"numbers": [[float("nan")]]}, "not a number"),
        ("mean", {"numbers": [1] * 5000}, "too large"),
        ("mean", {"numbers": _nested(21)}, "deeper than 20"),
        ("add", {"a": "x" * 50_001, "b": ""}, "too large"),
        ("add", {"a": "\ud800", "b": ""}, "surrogate"),
        ("add", {"\ud800": 1}, "surrogate"),
    ],
)
def test_arguments_of_unbounded_cost_are_refused_before_the_call(
    name: str, arguments: dict[str, Any], message: str
) -> None:
    result = _toolbox("MathAPI").call(ToolCall(name, arguments))
    assert not result.ok
    assert message in result.text


@pytest.mark.parametrize(
    ("name", "arguments", "text"),
    [
        ("power", {"base": 10, "exponent": 300}, '{"result": 1' + "0" * 300 + "}"),
        ("power", {"base": 1, "exponent": 10**9}, '{"result": 1}'),
        ("power", {"base": 2, "exponent": -1}, '{"result": 0.5}'),
        ("power", {"base": 0.5, "exponent": 10**9}, '{"result": 0.0}'),
        ("round_number", {"number": 2.345, "decimal_places": 1}, '{"result": 2.3}'),
        ("mean", {"numbers": [1] * 4000}, '{"result": 1.0}'),
    ],
)
def test_calls_within_the_bounds_keep_their_exact_result(name: str, arguments: dict[str, Any], text: str) -> None:
    assert _toolbox("MathAPI").call(ToolCall(name, arguments)) == ToolResult(ToolCall(name, arguments), True, text)


def test_a_result_too_long_to_show_is_a_failed_call(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(results, "MAX_RESULT_CHARACTERS", 20)
    assert _call(_toolbox("MathAPI"), "add", a=1, b=2).text == '{"result": 3}'
    result = _call(_toolbox("MathAPI"), "add", a=1, b=10**9)
    assert (result.ok, result.text) == (
        False,
        "Error during execution: the result has 22 characters; 20 can be shown",
    )


@pytest.mark.parametrize(
    "calls",
    [
        [("mkdir", {"dir_name": "a"}), ("cp", {"source": "a", "destination": "a"})],
        [("mkdir", {"dir_name": "."}), ("cp", {"source": ".", "destination": "b"})],
        [("mkdir", {"dir_name": "."}), ("mv", {"source": ".", "destination": "b"})],
    ],
)
def test_a_directory_cannot_come_to_contain_itself(calls: list[tuple[str, dict[str, str]]]) -> None:
    toolbox, twin = _toolbox("GorillaFileSystem"), _toolbox("GorillaFileSystem")
    for name, arguments in calls[:-1]:
        assert _call(toolbox, name, **arguments).ok
        assert _call(twin, name, **arguments).ok
    name, arguments = calls[-1]
    result = _call(toolbox, name, **arguments)
    assert (result.ok, result.text) == (False, "Error during execution: a directory cannot be put inside itself")
    assert judge_state(toolbox, twin)
    assert _call(toolbox, "find").ok
    assert _call(toolbox, "du").ok


def test_doubling_by_cp_and_mv_ends_in_refusals_that_change_nothing() -> None:
    toolbox = _toolbox("GorillaFileSystem")
    _call(toolbox, "mkdir", dir_name="a")
    made = []
    for round_number in range(40):
        made.append(_call(toolbox, "cp", source="a", destination=f"b{round_number}"))
        made.append(_call(toolbox, "mv", source=f"b{round_number}", destination="a"))
    refused = [result for result in made if not result.ok]
    assert refused
    assert len(_call(toolbox, "find").text) <= results.MAX_RESULT_CHARACTERS + 100
    world = toolbox.worlds["GorillaFileSystem"]
    tree.check_tree(world)


def test_one_item_more_than_the_tree_may_hold_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tree, "MAX_TREE_ITEMS", 3)
    toolbox = _toolbox("GorillaFileSystem")
    made = [_call(toolbox, "touch", file_name=name).ok for name in "abcd"]
    assert made == [True, True, True, False]
    assert _call(toolbox, "ls").text == '{"current_directory_content": ["a", "b", "c"]}'


def test_directories_can_be_nested_64_deep() -> None:
    toolbox = _toolbox("GorillaFileSystem")
    for _ in range(64):
        assert _call(toolbox, "mkdir", dir_name="d").ok
        assert _call(toolbox, "cd", folder="d").ok
    assert "nested 64 levels" in _call(toolbox, "mkdir", dir_name="d").text
    assert _call(toolbox, "ls").text == '{"current_directory_content": []}'


def test_a_name_of_256_characters_is_refused() -> None:
    toolbox = _toolbox("GorillaFileSystem")
    assert _call(toolbox, "touch", file_name="x" * 255).ok
    assert not _call(toolbox, "touch", file_name="x" * 256).ok
