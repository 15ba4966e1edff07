from __future__ import annotations

from typing import Any

import pytest

from envtune.bfcl.benchmark import load_bfcl_tasks
from envtune.bfcl.category import Category
from envtune.bfcl.environment import BFCL_ENVIRONMENT
from envtune.bfcl.limits import growth, tree
from envtune.bfcl.scenario import Scenario
from envtune.bfcl.toolbox import PARAMETERS, Toolbox
from envtune.chat.protocol import parse, write_calls
from envtune.environment.augmentation.none import NoAugmentation
from envtune.environment.episode import Episode
from envtune.environment.limits import check_arguments, result_budget
from envtune.environment.limits.size import Size, measure
from envtune.task import Task, ToolCall, ToolDocument, UserTurn
from envtune.trajectory import ToolResult

DOCUMENTS = tuple(ToolDocument(name, "", {}) for name in PARAMETERS)


def measured(toolbox: Toolbox) -> Size:
    return measure(vars(world) for world in toolbox.view.values())


def _toolbox(name: str) -> Toolbox:
    return Toolbox(Task("t", Category.BASE, Scenario(0, (name,), {}), (UserTurn("Hello", ()),), DOCUMENTS))


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
        ("logarithm", {"value": 2, "base": 3, "precision": 10**5}, "beyond 500 digits"),
        ("logarithm", {"value": 2, "base": 3, "precision": "100000"}, "beyond 500 digits"),
        ("square_root", {"number": 2, "precision": 10**6}, "beyond 500 digits"),
        ("round_number", {"number": 1, "decimal_places": -(10**9)}, "beyond 500 digits"),
        ("add", {"a": float("nan"), "b": 1}, "not a number"),
        ("mean", {"numbers": [[float("nan")]]}, "not a number"),
        ("mean", {"numbers": [1] * 1000}, "too large"),
        ("mean", {"numbers": _nested(21)}, "deeper than 20"),
        ("add", {"a": "x" * 30_001, "b": ""}, "too large"),
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
        ("mean", {"numbers": [1] * 900}, '{"result": 1.0}'),
    ],
)
def test_calls_within_the_bounds_keep_their_exact_result(name: str, arguments: dict[str, Any], text: str) -> None:
    assert _toolbox("MathAPI").call(ToolCall(name, arguments)) == ToolResult(ToolCall(name, arguments), True, text)


def test_a_result_too_long_to_show_is_a_failed_call(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(result_budget, "MAX_RESULT_CHARACTERS", 20)
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
    assert toolbox.same_as(twin)
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
    assert len(_call(toolbox, "find").text) <= result_budget.MAX_RESULT_CHARACTERS + 100
    tree.check_tree(toolbox.view["GorillaFileSystem"])


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


@pytest.mark.parametrize(
    ("toolbox", "name", "argument"),
    [
        ("GorillaFileSystem", "mkdir", "dir_name"),
        ("TwitterAPI", "search_tweets", "keyword"),
        ("TicketAPI", "get_user_tickets", "status"),
        ("TicketAPI", "ticket_login", "username"),
        ("TravelAPI", "get_flight_cost", "travel_date"),
        ("TravelAPI", "compute_exchange_rate", "value"),
    ],
)
def test_what_a_tool_repeats_for_every_entry_has_at_most_255_characters(toolbox: str, name: str, argument: str) -> None:
    refused = f"Error during execution: '{argument}' has 256 characters; 255 are allowed"
    assert _call(_toolbox(toolbox), name, **{argument: "x" * 256}).text == refused
    assert "are allowed" not in _call(_toolbox(toolbox), name, **{argument: "x" * 255}).text


def test_echo_writes_long_texts_and_only_short_lists() -> None:
    toolbox = _toolbox("GorillaFileSystem")
    assert _call(toolbox, "echo", content="x" * 29_000).ok
    # [1, 1, 1, …] of 85 ones has 85 x 3 characters, of 86 ones 258.
    assert _call(toolbox, "echo", content=[1] * 85).ok
    assert "'content' has 258 characters; 255 are allowed" in _call(toolbox, "echo", content=[1] * 86).text


def test_once_a_response_has_returned_its_budget_its_other_calls_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(result_budget, "MAX_RESPONSE_CHARACTERS", 26)
    toolbox, budget = _toolbox("MathAPI"), result_budget.ResultBudget()
    first, second, third = (toolbox.call(ToolCall("add", {"a": 1, "b": 2}), budget) for _ in range(3))
    assert first.text == second.text == '{"result": 3}'
    assert (third.ok, third.text) == (
        False,
        "Error during execution: the calls before it returned 26 characters or more; make this call in your next "
        "response",
    )
    assert _call(toolbox, "add", a=1, b=2).ok


def test_a_call_refused_for_the_budget_does_not_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(result_budget, "MAX_RESPONSE_CHARACTERS", 1)
    toolbox, budget = _toolbox("GorillaFileSystem"), result_budget.ResultBudget()
    made = [toolbox.call(ToolCall("mkdir", {"dir_name": name}), budget).ok for name in "ab"]
    assert made == [True, False]
    assert _call(toolbox, "ls").text == '{"current_directory_content": ["a"]}'


def test_a_result_too_long_to_show_counts_towards_the_budget(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(result_budget, "MAX_RESULT_CHARACTERS", 20)
    monkeypatch.setattr(result_budget, "MAX_RESPONSE_CHARACTERS", 22)
    toolbox, budget = _toolbox("MathAPI"), result_budget.ResultBudget()
    texts = [toolbox.call(ToolCall("add", {"a": 1, "b": 10**9}), budget).text for _ in range(2)]
    assert "the result has 22 characters" in texts[0]
    assert "the calls before it returned 22 characters or more" in texts[1]


def test_the_text_of_an_exception_is_a_result_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(result_budget, "MAX_RESULT_CHARACTERS", 50)
    result = _call(_toolbox("VehicleControlAPI"), "lockDoors", unlock=True, door=["x" * 99])
    assert (result.ok, "characters; 50 can be shown" in result.text) == (False, True)


def test_a_step_has_one_budget_for_all_its_calls(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(result_budget, "MAX_RESPONSE_CHARACTERS", 2)
    task = Task("t", Category.BASE, Scenario(0, ("GorillaFileSystem",), {}), (UserTurn("Hello", ()),), DOCUMENTS)
    episode = Episode(BFCL_ENVIRONMENT, task, parse, NoAugmentation(), step_limit=3)
    episode.reset()
    response = write_calls("", [ToolCall("mkdir", {"dir_name": name}) for name in "ab"])
    assert episode.step(response).text.endswith("make this call in your next response")
    assert "File exists" in episode.step(response).text


def test_a_world_filled_by_many_calls_answers_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(growth, "MAX_WORLD_VALUES", 200)
    toolbox = _toolbox("TwitterAPI")
    _call(toolbox, "authenticate_twitter", username="john", password="john123")
    followed = [_call(toolbox, "follow_user", username_to_follow=f"u{number}").ok for number in range(400)]
    assert 100 < followed.count(True) < 200
    assert followed == sorted(followed, reverse=True)
    assert _call(toolbox, "list_all_following").text == (
        "Error during execution: earlier calls have filled the world; 300000 characters and 200 values are allowed"
    )


def test_a_world_that_does_not_grow_can_be_called_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(growth, "MAX_WORLD_VALUES", 200)
    monkeypatch.setattr(growth, "MAX_WORLD_CHARACTERS", 2_000)
    toolbox = _toolbox("VehicleControlAPI")
    assert all(_call(toolbox, "set_navigation", destination="x" * 500).ok for _ in range(50))


def test_the_first_worlds_are_far_from_full() -> None:
    sizes = [measured(Toolbox(task)) for task in load_bfcl_tasks()]
    # Beside the public attributes, each world has a few private ones and the description of its tools.
    assert max(size.characters for size in sizes) < growth.MAX_WORLD_CHARACTERS / 10
    assert max(size.values for size in sizes) < growth.MAX_WORLD_VALUES / 5


def test_no_call_adds_more_to_a_world_than_its_arguments_and_a_record() -> None:
    for task in load_bfcl_tasks():
        toolbox = Toolbox(task)
        before = measured(toolbox)
        for call in (call for turn in task.turns for call in turn.ground_truth):
            toolbox.call(call)
            after, given = measured(toolbox), check_arguments(call)
            # The costs of all routes, which the next look-up replaces.
            if call.name not in ("get_flight_cost", "book_flight"):
                assert after.characters - before.characters <= given.characters + growth.RECORD_CHARACTERS
                assert after.values - before.values <= given.values + growth.RECORD_VALUES
            before = after


def test_echo_into_a_file_that_many_folders_share_is_undone_where_the_tree_becomes_too_large(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(tree, "MAX_TREE_CHARACTERS", 100)
    toolbox = _toolbox("GorillaFileSystem")
    for name, arguments in (
        ("mkdir", {"dir_name": "a"}),
        ("cd", {"folder": "a"}),
        ("touch", {"file_name": "f"}),
        ("echo", {"content": "old", "file_name": "f"}),
        ("cd", {"folder": ".."}),
        ("cp", {"source": "a", "destination": "b"}),
        ("cd", {"folder": "b"}),
    ):
        assert _call(toolbox, name, **arguments).ok
    assert "would hold too much" in _call(toolbox, "echo", content="x" * 60, file_name="f").text
    assert _call(toolbox, "cat", file_name="f").text == '{"file_content": "old"}'
