from __future__ import annotations

from collections import Counter
from typing import Any

import pytest

from envtune.environment.checker import judge_responses, judge_state
from envtune.environment.toolbox import PARAMETERS, Toolbox
from envtune.task import Category, Task, ToolCall, ToolDocument, UserTurn

DOCUMENTS = tuple(ToolDocument(name, "", {}) for name in PARAMETERS)


def _pair() -> tuple[Toolbox, Toolbox]:
    toolboxes = ("GorillaFileSystem", "VehicleControlAPI")
    task = Task("t", Category.BASE, 0, toolboxes, {}, DOCUMENTS, (UserTurn("Hello", ()),))
    return Toolbox(task), Toolbox(task)


def _call(toolbox: Toolbox, name: str, **arguments: Any) -> None:
    assert toolbox.call(ToolCall(name, arguments)).ok


@pytest.mark.parametrize(
    ("agent", "expected", "verdict"),
    [
        ([], [], True),
        (["a"], [], True),
        ([], ["a"], False),
        (["b", "a"], ["a", "b"], True),
        (["a", "b"], ["a", "a"], False),
        (["a", "b", "a"], ["a", "a"], True),
    ],
)
def test_responses_match_as_a_sub_multiset_in_any_order(agent: list[str], expected: list[str], verdict: bool) -> None:
    assert judge_responses(Counter(agent), Counter(expected)) is verdict


def test_worlds_loaded_alike_are_equal() -> None:
    assert judge_state(*_pair())


def test_one_public_attribute_of_one_world_makes_the_state_differ_until_it_is_made_up_for() -> None:
    agent, twin = _pair()
    _call(agent, "set_navigation", destination="x")
    assert not judge_state(agent, twin)
    _call(twin, "set_navigation", destination="x")
    assert judge_state(agent, twin)


def test_the_current_directory_is_private_and_does_not_count() -> None:
    agent, twin = _pair()
    for toolbox in (agent, twin):
        _call(toolbox, "mkdir", dir_name="a")
    _call(agent, "cd", folder="a")
    assert judge_state(agent, twin)


def test_the_order_in_which_files_were_made_does_not_count_but_their_content_does() -> None:
    agent, twin = _pair()
    for toolbox, names in ((agent, "ab"), (twin, "ba")):
        for name in names:
            _call(toolbox, "touch", file_name=name)
    assert judge_state(agent, twin)
    _call(agent, "echo", content="x", file_name="a")
    assert not judge_state(agent, twin)


def test_worlds_nested_beyond_the_stack_differ_instead_of_raising() -> None:
    agent, twin = _pair()
    for toolbox in (agent, twin):
        value: list[Any] = []
        for _ in range(100_000):
            value = [value]
        toolbox.worlds["VehicleControlAPI"].destination = value
    assert not judge_state(agent, twin)
