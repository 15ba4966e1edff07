"""What single hints say: they name the bad value and a direction, and keep the solution to themselves."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from of_tables import HINTS

from envtune.bfcl.benchmark import load_bfcl_tasks
from envtune.bfcl.toolbox import Toolbox
from envtune.environment.episode import render_results
from envtune.task import ToolCall
from envtune.trajectory import ToolResult


@pytest.fixture
def hint_for(toolbox: Toolbox):
    """The hint for a call that is really made."""

    def hint_for(tool: str, **arguments: object) -> str:
        call = ToolCall(tool, arguments)
        result = toolbox.call(call)
        hint = HINTS.hint(result, toolbox)
        assert hint is not None, result.text
        return hint.text

    return hint_for


@pytest.fixture
def log_in_to_travel(toolbox: Toolbox) -> str:
    login = dict.fromkeys(("client_id", "client_secret", "refresh_token", "grant_type"), "x")
    toolbox.call(ToolCall("authenticate_travel", {**login, "user_first_name": "Ada", "user_last_name": "L"}))
    return toolbox.view["TravelAPI"].access_token


def test_a_path_given_to_rm_is_called_a_path(hint_for):
    text = hint_for("rm", file_name="archive/notes.txt")
    assert text == (
        "'archive/notes.txt': paths are not allowed, `rm` takes bare names in the current directory. "
        "`cd` can take you to another folder first, one level at a time."
    )


def test_of_two_files_only_the_missing_one_is_named(hint_for):
    text = hint_for("diff", file_name1="notes.txt", file_name2="nots.txt")
    assert "nothing named 'nots.txt'" in text
    assert "notes.txt" not in text.replace("nots.txt", "")
    assert "`ls`" in text


def test_a_folder_given_to_grep_is_called_a_folder_though_the_tool_says_it_does_not_exist(hint_for):
    assert "files only, and here 'archive' is a folder" in hint_for("grep", file_name="archive", pattern="x")


def test_what_is_in_the_current_directory_is_not_told(hint_for):
    text = hint_for("cat", file_name="lost.txt")
    assert "lost.txt" in text
    assert "plan.txt" not in text
    assert "archive" not in text


def test_the_forbidden_characters_are_those_the_agent_wrote(hint_for):
    assert "because of ':' and '?'" in hint_for("touch", file_name="a:b?.txt")


def test_writing_to_a_missing_file_points_to_the_tool_that_makes_one(hint_for):
    assert "`touch` makes new files" in hint_for("echo", content="x", file_name="new.txt")


def test_both_cities_given_for_airports_are_named_and_no_code_is_told(hint_for):
    flight = {"travel_from": "Rivermist", "travel_to": "Paris", "travel_date": "2024-05-01", "travel_class": "first"}
    text = hint_for("get_flight_cost", **flight)
    assert "'Rivermist' and 'Paris' are no airport codes" in text
    assert "`get_nearest_airport_by_city`" in text
    assert "RMS" not in text
    assert "CDG" not in text


def test_a_valid_airport_code_is_not_blamed(hint_for):
    flight = {"travel_from": "SFO", "travel_to": "Paris", "travel_date": "2024-05-01", "travel_class": "first"}
    assert "'Paris' is no airport code" in (text := hint_for("get_flight_cost", **flight))
    assert "SFO" not in text


def test_a_missing_flight_between_valid_airports_is_told_as_such(hint_for):
    flight = {"travel_from": "CDG", "travel_to": "SFO", "travel_date": "2024-05-01", "travel_class": "first"}
    text = hint_for("get_flight_cost", **flight)
    assert "no flight goes from 'CDG' to 'SFO' in any class on any day" in text
    assert "code" not in text.partition(",")[2]
    # Neither is at fault: routes depend on the two ends alone.
    assert "'first'" not in text
    assert "2024-05-01" not in text
    same = hint_for("get_flight_cost", **{**flight, "travel_from": "SFO"})
    assert "would begin and end at 'SFO'" in same
    assert "route" not in same


def test_a_wrong_token_is_named_and_the_right_one_is_not(hint_for, log_in_to_travel):
    text = hint_for("set_budget_limit", access_token="abc", budget_limit=5.0)
    assert "'abc' is not the token" in text
    assert "`authenticate_travel`" in text
    assert log_in_to_travel not in text


def test_a_card_number_is_told_from_a_card_id(hint_for, log_in_to_travel):
    flight = {"travel_from": "SFO", "travel_to": "LAX", "travel_date": "2024-05-01", "travel_class": "first"}
    text = hint_for("book_flight", access_token=log_in_to_travel, card_id="4111", **flight)
    assert "'4111' is not the id" in text
    assert "`get_all_credit_cards`" in text


def test_an_unknown_booking_points_to_the_history(hint_for):
    text = hint_for("contact_customer_support", booking_id="42", message="hi")
    assert "id '42'" in text
    assert "`get_booking_history`" in text


def test_a_city_given_for_a_zip_code_is_named_and_no_zip_code_is_told(hint_for):
    text = hint_for("estimate_distance", cityA="Rivermist", cityB="94016")
    assert "'Rivermist' is none" in text
    assert "`get_zipcode_based_on_city`" in text
    assert "83214" not in text


def test_a_door_the_car_has_not_is_named(hint_for):
    text = hint_for("lockDoors", unlock=True, door=["trunk"])
    assert "'trunk' is not one of the doors" in text
    assert "rear_left" not in text


def test_a_single_door_given_as_text_is_told_to_be_a_list(hint_for):
    assert "takes a list of doors" in hint_for("lockDoors", unlock=True, door="driver")


def test_stopping_the_engine_is_not_called_a_failure(hint_for):
    assert "stopped all the same" in hint_for("startEngine", ignitionMode="STOP")


def test_an_unknown_mode_points_to_the_document(hint_for):
    text = hint_for("activateParkingBrake", mode="engaged")
    assert "'engaged'" in text
    assert "document" in text
    assert "'engage'" not in text


def test_a_company_name_given_for_a_symbol_points_to_the_tool_that_finds_it(hint_for):
    text = hint_for("get_stock_info", symbol="Apple")
    assert "'Apple'" in text
    assert "`get_symbol_by_name`" in text
    assert "AAPL" not in text


def test_an_order_id_given_as_text_is_told_to_be_a_number(hint_for):
    assert "whole numbers, and you gave '7' as text" in hint_for("cancel_order", order_id="7")


def test_trading_without_a_session_points_to_the_login(hint_for):
    assert "`trading_login`" in hint_for("get_watchlist")


def test_a_user_name_given_for_an_id_points_to_the_tool_that_finds_it(hint_for):
    text = hint_for("message_login", user_id="Ada")
    assert "'Ada' is nobody's user id" in text
    assert "`get_user_id`" in text
    assert "USR001" not in text


def test_sending_without_a_session_points_to_the_login(hint_for):
    assert "`message_login`" in hint_for("send_message", receiver_id="USR001", message="hi")


def test_an_unknown_user_points_to_the_list_without_repeating_it(hint_for):
    text = hint_for("get_user_id", user="Adda")
    assert "'Adda'" in text
    assert "`list_users`" in text
    assert "'Ada'" not in text


def test_wrong_credentials_are_told_without_the_right_ones(hint_for):
    text = hint_for("authenticate_twitter", username="adda", password="hunter2")
    assert "'adda'" in text
    assert "secret" not in text
    assert "hunter2" not in text


def test_following_someone_twice_changes_nothing(hint_for, toolbox):
    toolbox.call(ToolCall("authenticate_twitter", {"username": "ada", "password": "secret"}))
    assert "'bob' is followed already" in hint_for("follow_user", username_to_follow="bob")


def test_an_unknown_tweet_points_to_the_search(hint_for):
    text = hint_for("get_tweet", tweet_id=7)
    assert "id 7" in text
    assert "`search_tweets`" in text


def test_an_unknown_ticket_points_to_the_list(hint_for):
    text = hint_for("close_ticket", ticket_id=7)
    assert "id 7" in text
    assert "`get_user_tickets`" in text


def test_fields_that_cannot_be_edited_are_named(hint_for, toolbox):
    toolbox.call(ToolCall("ticket_login", {"username": "ada", "password": "x"}))
    toolbox.call(ToolCall("create_ticket", {"title": "t"}))
    text = hint_for("edit_ticket", ticket_id=1, updates={"owner": "bob", "title": "u", "due": "May"})
    assert "'due' and 'owner' cannot be edited" in text
    assert "title" not in text


def test_an_empty_login_is_told_by_what_is_empty(hint_for):
    assert "'username' and 'password' are empty" in hint_for("ticket_login", username="", password="")
    text = hint_for("ticket_login", username="ada", password="")
    assert "'password' is empty" in text
    assert "username" not in text


def test_an_imperial_unit_points_to_the_other_converter(hint_for):
    text = hint_for("si_unit_conversion", value=1.0, unit_in="miles", unit_out="km")
    assert "'miles' is none" in text
    assert "`imperial_si_conversion`" in text


def test_a_logarithm_to_base_one_is_explained(hint_for):
    assert "base 1 is not defined" in hint_for("logarithm", value=8, base=1, precision=5)


def test_a_square_root_without_digits_is_explained(hint_for):
    text = hint_for("square_root", number=4, precision=0)
    assert "'precision' has to be a whole number of digits from one upwards, and you gave '0'" in text
    assert "'number'" not in text
    text = hint_for("square_root", number="four", precision=2)
    assert "'number' has to be a number, and you gave 'four'" in text
    assert "'precision'" not in text


def test_of_the_arguments_of_a_logarithm_those_that_do_not_fit_are_named(hint_for):
    text = hint_for("logarithm", value="two", base=2, precision=5)
    assert "'value' has to be a positive number, and you gave 'two'" in text
    assert "'base'" not in text
    assert "'precision'" not in text


def test_missing_arguments_are_named(hint_for):
    assert "cannot run without 'destination'" in hint_for("mv", source="notes.txt")


def test_a_tool_that_is_not_offered_is_told_to_be_none(hint_for):
    assert "'fly' is not the name of a tool offered now" in hint_for("fly", to="Paris")


def test_wrong_types_are_told_by_what_was_given(hint_for):
    assert "'pedalPosition' is a number, and you gave text" in hint_for("pressBrakePedal", pedalPosition="full")


def test_of_several_arguments_only_the_one_of_a_wrong_type_is_named(hint_for, toolbox):
    toolbox.call(ToolCall("ticket_login", {"username": "ada", "password": "x"}))
    text = hint_for("create_ticket", title="Flat tire", description="On the way.", priority="high")
    assert "'priority' is a whole number, and you gave text" in text
    assert "title" not in text
    assert "description" not in text


def test_what_was_given_is_listed_only_where_every_argument_has_its_documented_type(toolbox):
    # Hand-made: of the documented types, and the tool fails all the same.
    failed = ToolResult(ToolCall("mkdir", {"dir_name": "a"}), False, "Error during execution: unhashable type: 'list'")
    hint = HINTS.hint(failed, toolbox)
    assert "The type of an argument does not fit: you gave 'dir_name' as text" in hint.text


def test_a_city_without_a_zip_code_is_told_where_it_occurs_and_where_it_is_used(hint_for):
    text = hint_for("get_zipcode_based_on_city", city="Rivermist, ID")
    assert "'00000' stands for not found" in text
    assert "83214" not in text
    assert "'00000' is not a place" in hint_for("estimate_distance", cityA="00000", cityB="94016")


def test_a_place_without_an_airport_is_told_where_it_occurs_and_where_it_is_used(hint_for):
    assert "No airport is on record" in hint_for("get_nearest_airport_by_city", location="Rivermist, ID")
    flight = {"travel_from": "Unknown", "travel_to": "SFO", "travel_date": "2024-05-01", "travel_class": "first"}
    text = hint_for("get_flight_cost", **flight)
    assert "'Unknown' is not an airport" in text
    assert "`list_all_airports`" in text


def test_a_company_without_a_symbol_is_told_where_it_occurs_and_where_it_is_used(hint_for):
    text = hint_for("get_symbol_by_name", name="Apple Inc.")
    assert "No company of exactly this name" in text
    assert "AAPL" not in text
    assert "stands for a company" in hint_for("get_stock_info", symbol="Stock not found")


def test_a_symbol_given_for_a_company_is_called_a_symbol(hint_for):
    for name in ("NVDA", "nvda"):
        text = hint_for("get_symbol_by_name", name=name)
        assert f"'{name}' is a symbol already" in text
        assert "name on record" not in text
    assert "NVDA" not in text


def test_a_symbol_in_small_letters_is_not_taken_for_a_company(hint_for, toolbox):
    toolbox.call(ToolCall("trading_login", {"username": "ada", "password": "x"}))
    order = {"order_type": "Buy", "price": 1.0, "amount": 1}
    for text in (
        hint_for("get_stock_info", symbol="nvda"),
        hint_for("place_order", symbol="nvda", **order),
        hint_for("remove_stock_from_watchlist", symbol="nvda"),
        hint_for("add_to_watchlist", stock="nvda"),
    ):
        assert "'nvda' is not written like a symbol" in text
        assert "NVDA" not in text
        assert "`get_symbol_by_name`" not in text


def test_a_stock_that_is_not_on_the_watchlist_is_not_taken_for_a_company(hint_for, toolbox):
    toolbox.call(ToolCall("trading_login", {"username": "ada", "password": "x"}))
    text = hint_for("remove_stock_from_watchlist", symbol="AAPL")
    assert "The stock 'AAPL' is not on the watchlist" in text
    assert "company" not in text
    assert "company names" in hint_for("remove_stock_from_watchlist", symbol="Apple")


def test_of_two_dates_only_the_one_of_another_form_is_named(hint_for, toolbox):
    toolbox.call(ToolCall("trading_login", {"username": "ada", "password": "x"}))
    toolbox.call(ToolCall("fund_account", {"amount": 5.0}))
    text = hint_for("get_transaction_history", start_date="2024-05-01", end_date="May 7")
    assert "you gave 'May 7'" in text
    assert "2024-05-01" not in text


def test_a_user_id_given_for_a_name_is_called_an_id(hint_for):
    text = hint_for("get_user_id", user="USR001")
    assert "'USR001' is a user's id already" in text
    assert "Ada" not in text


def test_an_unknown_user_id_is_not_called_a_name(hint_for, toolbox):
    text = hint_for("message_login", user_id="USR999")
    assert "'USR999' is nobody's user id." in text
    assert "does not count" not in text
    toolbox.call(ToolCall("message_login", {"user_id": "USR001"}))
    assert "does not count" not in hint_for("send_message", receiver_id="USR999", message="hi")
    assert "does not count" in hint_for("send_message", receiver_id="Ada", message="hi")
    assert "does not count" in hint_for("delete_message", receiver_id="Ada")


def test_an_airport_code_in_small_letters_is_not_taken_for_a_city(hint_for):
    flight = {"travel_from": "SFO", "travel_to": "lax", "travel_date": "2024-05-01", "travel_class": "first"}
    text = hint_for("get_flight_cost", **flight)
    assert "those of 'lax' are not" in text
    assert "LAX" not in text
    assert "city" not in text


def test_an_airport_code_given_for_a_place_is_called_a_code(hint_for):
    assert "'LAX' is an airport's code already" in hint_for("get_nearest_airport_by_city", location="LAX")


def test_of_two_currencies_only_the_unknown_one_is_named(hint_for):
    text = hint_for("compute_exchange_rate", base_currency="USD", target_currency="euro", value=1.0)
    assert "'euro' is no currency" in text
    assert "USD" not in text
    text = hint_for("compute_exchange_rate", base_currency="EUR", target_currency="JPY", value=1.0)
    assert "no direct rate between 'EUR' and 'JPY'" in text
    assert "nothing to exchange" in hint_for(
        "compute_exchange_rate", base_currency="USD", target_currency="USD", value=1.0
    )


def test_of_two_units_only_the_unknown_one_is_named(hint_for):
    text = hint_for("imperial_si_conversion", value=1.0, unit_in="km", unit_out="mi")
    assert "'mi' is no unit" in text
    assert "'km'" not in text
    assert "miles" not in text
    text = hint_for("imperial_si_conversion", value=1.0, unit_in="km", unit_out="ft")
    assert "no conversion from 'km' to 'ft'" in text
    assert "spelling" not in text


@pytest.mark.parametrize(
    ("speed", "cause"),
    [(-5, "is negative"), (130, "is above the documented limit"), (63, "is between two of the documented steps")],
)
def test_a_cruise_speed_is_told_by_what_is_wrong_with_it(hint_for, toolbox, speed: int, cause: str):
    toolbox.view["VehicleControlAPI"].engine_state = "running"
    text = hint_for("setCruiseControl", speed=speed, activate=True, distanceToNextVehicle=9.0)
    assert text == f"A cruise speed of {speed} {cause}."


def test_every_condition_for_the_engine_points_to_the_tool_that_meets_it(hint_for, toolbox, make_toolbox):
    car = toolbox.view["VehicleControlAPI"]
    car.remainingUnlockedDoors = 1
    car.doorStatus["driver"] = "unlocked"
    assert "`lockDoors`" in hint_for("startEngine", ignitionMode="START")
    car.remainingUnlockedDoors = 0
    text = hint_for("startEngine", ignitionMode="START")
    assert "pedal is released. `pressBrakePedal`" in text
    toolbox.call(ToolCall("pressBrakePedal", {"pedalPosition": 0.5}))
    text = hint_for("startEngine", ignitionMode="START")
    assert "only in part" in text
    assert "`pressBrakePedal`" in text
    text = hint_for("setCruiseControl", speed=60, activate=True, distanceToNextVehicle=9.0)
    assert text.endswith("only while the engine runs, and it is stopped. `startEngine` makes it run.")
    without = make_toolbox(without=("pressBrakePedal",))
    without.view["VehicleControlAPI"].remainingUnlockedDoors = 0
    failed = without.call(ToolCall("startEngine", {"ignitionMode": "START"}))
    assert HINTS.hint(failed, without).text.endswith("is released. The pedal comes first.")


def test_a_state_of_the_parking_brake_is_told_from_a_word_that_is_neither(hint_for):
    assert "not the states" in hint_for("activateParkingBrake", mode="engaged")
    assert "not the states" not in hint_for("activateParkingBrake", mode="pull")


def test_a_zip_code_given_as_a_number_or_twice_is_not_called_unknown(hint_for):
    assert "as text, and you gave '94016' as a number" in hint_for("estimate_distance", cityA=94016, cityB="83214")
    text = hint_for("estimate_distance", cityA="94016", cityB="94016")
    assert "Both ends are '94016'" in text
    assert "'94016' is a zip code already" in hint_for("get_zipcode_based_on_city", city="94016")


def test_only_a_city_with_an_addition_is_to_be_given_without_it(hint_for):
    assert "bare name" in hint_for("get_zipcode_based_on_city", city="Rivermist, ID")
    assert "bare name" not in hint_for("get_zipcode_based_on_city", city="Springfield")


def test_a_new_name_with_a_forbidden_character_is_not_looked_for_in_the_folder(hint_for):
    assert "`ls`" not in hint_for("mkdir", dir_name="a|b")
    assert "`ls`" in hint_for("cat", file_name="a|b")


def test_a_stock_that_was_not_added_is_told_and_one_that_was_is_not(hint_for, toolbox):
    assert "'Apple' is not the symbol" in hint_for("add_to_watchlist", stock="Apple")
    added = toolbox.call(ToolCall("add_to_watchlist", {"stock": "AAPL"}))
    assert HINTS.hint(added, toolbox) is None


def test_an_unknown_sector_is_named(hint_for):
    assert "No sector is called 'Tech'" in hint_for("get_available_stocks", sector="Tech")


def test_an_answer_that_only_reads_like_a_failure_gets_no_hint(toolbox):
    toolbox.call(ToolCall("touch", {"file_name": "log.txt"}))
    toolbox.call(ToolCall("echo", {"file_name": "log.txt", "content": 'No such file, "zipcode": "00000"'}))
    read = toolbox.call(ToolCall("cat", {"file_name": "log.txt"}))
    assert "No such file" in read.text
    assert HINTS.hint(read, toolbox) is None


def test_a_mode_given_as_a_list_is_told_to_be_text(hint_for):
    text = hint_for("setHeadlights", mode=["on"])
    assert "as a single piece of text, and you gave a list" in text


def test_the_example_in_the_readme_is_what_the_agent_reads():
    (task,) = [task for task in load_bfcl_tasks(["base"]) if task.id == "multi_turn_base_56"]
    call = ToolCall("estimate_distance", {"cityA": "San Francisco", "cityB": "Rivermist"})
    toolbox = Toolbox(task)
    result = toolbox.call(call)
    read = render_results((replace(result, hint=HINTS.hint(result, toolbox)),))
    readme = (Path(__file__).parents[3] / "README.md").read_text(encoding="utf-8")
    assert " ".join(read.split()) in " ".join(readme.split())
