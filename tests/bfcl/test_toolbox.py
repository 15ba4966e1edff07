from __future__ import annotations

import decimal
import json
import os
import subprocess
import sys
from typing import Any

import mpmath
import pytest

from envtune.bfcl.benchmark import tool_documents
from envtune.bfcl.category import Category
from envtune.bfcl.environment import BFCL_ENVIRONMENT
from envtune.bfcl.scenario import Scenario
from envtune.bfcl.toolbox import PARAMETERS, Toolbox
from envtune.bfcl.worlds import TOOLBOXES
from envtune.task import Task, ToolCall, ToolDocument, UserTurn
from envtune.trajectory import ToolResult

FILES = {
    "root": {
        "home": {
            "type": "directory",
            "contents": {
                "a": {"type": "directory", "contents": {"x.txt": {"type": "file", "content": "b\na"}}},
                "note.txt": {"type": "file", "content": "one"},
            },
        }
    }
}
TRAVELER = {"access_token": "1", "token_expires_in": 5, "credit_card_list": {"7": {"balance": 9000}}}


def _task(
    *toolboxes: str,
    state: dict[str, Any] | None = None,
    category: Category = Category.BASE,
    tools: tuple[str, ...] = (),
) -> Task:
    documents = tuple(ToolDocument(name, "", {}) for name in (tools or tuple(PARAMETERS)))
    return Task("t", category, Scenario(0, toolboxes, state or {}), (UserTurn("Hello", ()),), documents)


def _toolbox(name: str, state: dict[str, Any] | None = None, category: Category = Category.BASE) -> Toolbox:
    return Toolbox(_task(name, state={name: state or {}}, category=category))


def _call(toolbox: Toolbox, name: str, **arguments: Any) -> ToolResult:
    return toolbox.call(ToolCall(name, arguments))


@pytest.mark.parametrize(
    ("toolbox", "name", "arguments", "text"),
    [
        ("GorillaFileSystem", "cat", {"file_name": "note.txt"}, '{"file_content": "one"}'),
        ("GorillaFileSystem", "touch", {"file_name": "new"}, "None"),
        ("MathAPI", "power", {"base": 2, "exponent": 10}, '{"result": 1024}'),
        ("MathAPI", "square_root", {"number": 2, "precision": 5}, "{'result': Decimal('1.4142')}"),
        ("MathAPI", "logarithm", {"value": 8, "base": 2, "precision": 5}, "{'result': mpf('3.0')}"),
        ("TravelAPI", "compute_exchange_rate", {"base_currency": "USD", "target_currency": "EUR", "value": 10}, None),
        ("TwitterAPI", "search_tweets", {"keyword": "k"}, "[]"),
    ],
)
def test_results_read_as_the_official_executor_writes_them(
    toolbox: str, name: str, arguments: dict[str, Any], text: str | None
) -> None:
    result = _call(_toolbox(toolbox, FILES), name, **arguments)
    assert result.ok
    assert result.text == (text or '{"exchanged_value": 8.0}')


@pytest.mark.parametrize(
    ("toolbox", "name", "arguments"),
    [
        ("GorillaFileSystem", "cat", {"file_name": "no"}),
        ("GorillaFileSystem", "cat", {}),
        ("GorillaFileSystem", "cat", {"file_name": "note.txt", "extra": 1}),
        ("GorillaFileSystem", "cat", {"file_name": 7}),
        ("VehicleControlAPI", "get_outside_temperature_from_weather_com", {}),
        ("VehicleControlAPI", "displayCarStatus", {"option": "no"}),
        ("VehicleControlAPI", "lockDoors", {"unlock": True, "door": ["trunk"]}),
        ("MathAPI", "logarithm", {"value": 2, "base": 1, "precision": 5}),
        ("TradingBot", "get_watchlist", {}),
        ("TradingBot", "get_order_history", {}),
        ("TicketAPI", "get_user_tickets", {}),
        ("TicketAPI", "ticket_login", {"username": "", "password": ""}),
        ("TicketAPI", "logout", {}),
        ("MessageAPI", "message_login", {"user_id": "no"}),
        ("TwitterAPI", "authenticate_twitter", {"username": "no", "password": "no"}),
        ("TravelAPI", "get_flight_cost", dict.fromkeys(PARAMETERS["get_flight_cost"], "no")),
        ("TravelAPI", "verify_traveler_information", dict.fromkeys(PARAMETERS["verify_traveler_information"], "no")),
    ],
)
def test_exceptions_reported_errors_and_refused_logins_are_not_ok(
    toolbox: str, name: str, arguments: dict[str, Any]
) -> None:
    assert not _call(_toolbox(toolbox, FILES), name, **arguments).ok


@pytest.mark.parametrize(
    ("toolbox", "name", "arguments", "text"),
    [
        ("TicketAPI", "ticket_get_login_status", {}, '{"login_status": false}'),
        ("TravelAPI", "travel_get_login_status", {}, '{"status": false}'),
        ("VehicleControlAPI", "get_zipcode_based_on_city", {"city": "Nowhere"}, '{"zipcode": "00000"}'),
        ("VehicleControlAPI", "estimate_drive_feasibility_by_mileage", {"distance": 9e9}, '{"canDrive": false}'),
    ],
)
def test_a_negative_answer_to_a_question_is_ok(toolbox: str, name: str, arguments: dict[str, Any], text: str) -> None:
    result = _call(_toolbox(toolbox), name, **arguments)
    assert (result.ok, result.text) == (True, text)


def test_a_traveler_who_is_turned_down_was_verified() -> None:
    toolbox = _toolbox("TravelAPI", {"user_first_name": "A", "user_last_name": "B"})
    person = {"first_name": "A", "last_name": "B", "date_of_birth": "1950-01-01", "passport_number": "P1"}
    result = _call(toolbox, "verify_traveler_information", **person)
    assert result.ok
    assert "Passport must be issued" in result.text


@pytest.mark.parametrize("name", ["nothing", "_load_scenario", "__class__", "root", "cat", ""])
def test_only_documented_tools_can_be_called(name: str) -> None:
    toolbox = Toolbox(_task("GorillaFileSystem", tools=("ls",)))
    result = _call(toolbox, name)
    assert not result.ok
    assert result.text == f"Error during execution: name '{name}' is not defined, as no such tool is offered"
    assert toolbox.tools == {"ls"}


def test_a_tool_can_be_called_from_when_it_is_offered() -> None:
    toolbox = Toolbox(_task("GorillaFileSystem", tools=("ls", "pwd")))
    toolbox.offer(["ls"])
    assert not _call(toolbox, "pwd").ok
    toolbox.offer(["ls", "pwd", "cat"])
    assert _call(toolbox, "pwd").ok
    assert toolbox.tools == {"ls", "pwd"}


def test_a_toolbox_without_initial_state_is_loaded_from_nothing() -> None:
    assert _call(Toolbox(_task("GorillaFileSystem")), "ls").text == '{"current_directory_content": []}'


def test_an_unknown_class_is_told_with_those_that_exist() -> None:
    with pytest.raises(ValueError, match="'WebSearchAPI' is unknown: use one of GorillaFileSystem"):
        Toolbox(_task("WebSearchAPI"))


def test_neither_the_task_nor_the_callers_arguments_are_changed() -> None:
    task = _task("TwitterAPI", state={"TwitterAPI": {"authenticated": True, "following_list": []}})
    toolbox, tags = Toolbox(task), ["#a"]
    _call(toolbox, "post_tweet", content="x", mentions=tags)
    _call(toolbox, "mention", tweet_id=0, mentioned_usernames=["@b"])
    _call(toolbox, "follow_user", username_to_follow="c")
    assert tags == ["#a"]
    assert task.world.initial_state["TwitterAPI"]["following_list"] == []


def test_long_lists_of_numbers_are_written_as_json_writes_them() -> None:
    toolbox = _toolbox("TradingBot", category=Category.LONG_CONTEXT)
    text = _call(toolbox, "get_stock_info", symbol="AAPL").text
    assert len(json.loads(text)["MA(5)"]) == 2000
    assert text == json.dumps(json.loads(text))


def test_a_result_is_written_before_later_calls_change_what_it_shows() -> None:
    toolbox = _toolbox("TwitterAPI", {"authenticated": True})
    posted = _call(toolbox, "post_tweet", content="x")
    _call(toolbox, "mention", tweet_id=0, mentioned_usernames=["@b"])
    assert '"mentions": []' in posted.text


def test_default_lists_do_not_travel_to_the_next_post_or_the_next_episode() -> None:
    state = {"authenticated": True}
    toolbox, twin = _toolbox("TwitterAPI", state), _toolbox("TwitterAPI", state)
    _call(toolbox, "post_tweet", content="x")
    _call(twin, "post_tweet", content="x")
    _call(toolbox, "mention", tweet_id=0, mentioned_usernames=["@b"])
    assert not toolbox.same_as(twin)
    assert '"mentions": []' in _call(toolbox, "post_tweet", content="y").text
    assert '"mentions": []' in _call(_toolbox("TwitterAPI", state), "post_tweet", content="z").text


def test_a_purchase_in_a_long_context_world_leaves_other_worlds_as_they_were() -> None:
    def balances(toolbox: Toolbox) -> str:
        return _call(toolbox, "get_all_credit_cards").text

    toolbox, twin = (_toolbox("TravelAPI", TRAVELER, Category.LONG_CONTEXT) for _ in range(2))
    before = balances(toolbox)
    world = toolbox.view["TravelAPI"]
    card = next(card for card in world.credit_card_list if card != "7")
    booking = next(iter(world.booking_record))
    bought = _call(
        toolbox,
        "purchase_insurance",
        access_token="1",
        insurance_type="x",
        booking_id=booking,
        insurance_cost=5,
        card_id=card,
    )
    assert bought.ok
    assert balances(toolbox) != before
    assert balances(twin) == balances(_toolbox("TravelAPI", TRAVELER, Category.LONG_CONTEXT)) == before


def test_long_context_worlds_are_larger_only_in_that_category() -> None:
    short = _call(_toolbox("TravelAPI", TRAVELER), "get_all_credit_cards").text
    long = _call(_toolbox("TravelAPI", TRAVELER, Category.LONG_CONTEXT), "get_all_credit_cards").text
    assert short == '{"credit_card_list": {"7": {"balance": 9000}}}'
    assert len(long) > 1000


def test_numerical_precision_is_put_back_after_each_call() -> None:
    before = mpmath.mp.prec, decimal.getcontext().prec
    toolbox = _toolbox("MathAPI")
    _call(toolbox, "logarithm", value=2, base=3, precision=50)
    _call(toolbox, "logarithm", value=2, base="x", precision=70)
    _call(toolbox, "square_root", number=2, precision=3)
    assert (mpmath.mp.prec, decimal.getcontext().prec) == before


def test_random_draws_are_the_same_in_every_world_of_a_task() -> None:
    first, second = _toolbox("VehicleControlAPI"), _toolbox("VehicleControlAPI")
    drawn = [_call(first, "get_current_speed").text for _ in range(3)]
    assert drawn == [_call(second, "get_current_speed").text for _ in range(3)]
    assert len(set(drawn)) == 3


HASH_SEED_PROGRAM = """
from envtune.bfcl.toolbox import PARAMETERS, Toolbox
from envtune.bfcl.scenario import Scenario
from envtune.task import Task, ToolCall, ToolDocument
documents = tuple(ToolDocument(name, "", {}) for name in PARAMETERS)
state = {
    "TravelAPI": {"access_token": "1", "token_expires_in": 5, "credit_card_list": {"7": {"balance": 9000}}},
    "TicketAPI": {"ticket_queue": [{"id": 1}]},
}
toolbox = Toolbox(Task("t", "base", Scenario(0, tuple(state), state), (), documents))
flight = dict(zip(PARAMETERS["book_flight"], ("1", "7", "2024-01-01", "SFO", "LAX", "none")))
print(toolbox.call(ToolCall("book_flight", flight)).text)
print(toolbox.call(ToolCall("edit_ticket", {"ticket_id": 1, "updates": dict.fromkeys("zyxwv")})).text)
"""


@pytest.mark.parametrize("hash_seed", ["1", "2", "3"])
def test_messages_do_not_depend_on_the_hash_seed(hash_seed: str) -> None:
    environment = {**os.environ, "PYTHONHASHSEED": hash_seed}
    done = subprocess.run(
        [sys.executable, "-c", HASH_SEED_PROGRAM], env=environment, capture_output=True, text=True, check=True
    )
    classes, fields = done.stdout.splitlines()
    assert "Must be one of {'business', 'economy', 'first'}" in classes
    assert fields == '{"error": "Invalid fields for update: v, w, x, y, z"}'


def test_every_documented_tool_is_reported_under_the_class_that_has_it() -> None:
    documented = {tool.name: name for name in TOOLBOXES for tool in tool_documents(name)}
    assert len(documented) == 128
    assert {tool: BFCL_ENVIRONMENT.domain_of(tool) for tool in documented} == documented
    assert BFCL_ENVIRONMENT.domain_of("fly") is None
