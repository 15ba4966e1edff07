from __future__ import annotations

from typing import Any

from envtune.bfcl.category import Category
from envtune.bfcl.scenario import Scenario
from envtune.bfcl.toolbox import PARAMETERS, Toolbox
from envtune.task import Task, ToolCall, ToolDocument, UserTurn

DOCUMENTS = tuple(ToolDocument(name, "", {}) for name in PARAMETERS)


def _pair() -> tuple[Toolbox, Toolbox]:
    toolboxes = ("GorillaFileSystem", "VehicleControlAPI")
    task = Task("t", Category.BASE, Scenario(0, toolboxes, {}), (UserTurn("Hello", ()),), DOCUMENTS)
    return Toolbox(task), Toolbox(task)


def _call(toolbox: Toolbox, name: str, **arguments: Any) -> None:
    assert toolbox.call(ToolCall(name, arguments)).ok


def test_worlds_loaded_alike_are_equal() -> None:
    agent, twin = _pair()
    assert agent.same_as(twin)


def test_one_public_attribute_of_one_world_makes_the_state_differ_until_it_is_made_up_for() -> None:
    agent, twin = _pair()
    _call(agent, "set_navigation", destination="x")
    assert not agent.same_as(twin)
    _call(twin, "set_navigation", destination="x")
    assert agent.same_as(twin)


def test_the_current_directory_is_private_and_does_not_count() -> None:
    agent, twin = _pair()
    for toolbox in (agent, twin):
        _call(toolbox, "mkdir", dir_name="a")
    _call(agent, "cd", folder="a")
    assert agent.same_as(twin)


def test_the_order_in_which_files_were_made_does_not_count_but_their_content_does() -> None:
    agent, twin = _pair()
    for toolbox, names in ((agent, "ab"), (twin, "ba")):
        for name in names:
            _call(toolbox, "touch", file_name=name)
    assert agent.same_as(twin)
    _call(agent, "echo", content="x", file_name="a")
    assert not agent.same_as(twin)


def test_worlds_nested_beyond_the_stack_differ_instead_of_raising() -> None:
    agent, twin = _pair()
    for toolbox in (agent, twin):
        value: list[Any] = []
        for _ in range(100_000):
            value = [value]
        toolbox.view["VehicleControlAPI"].destination = value
    assert not agent.same_as(twin)
