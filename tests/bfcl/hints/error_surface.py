"""The messages that the tools can fail with, written down by hand with example values.

Per table of hints: (tool, its arguments, message). ``result`` makes the result of it that the agent reads. Non-answers
stand here too: results that a tool gives as an answer though they mean that nothing was found or done.
"""

from __future__ import annotations

import json
from types import ModuleType
from typing import Any

from envtune.bfcl.hints import (
    file_system,
    mathematics,
    message,
    python_errors,
    ticket,
    trading,
    travel,
    twitter,
    vehicle,
)
from envtune.task import ToolCall
from envtune.trajectory import ToolResult

CRASH = "Error during execution: "
TOKEN, CARD, BOOKING = {"access_token": "123456"}, {"card_id": "card_9"}, {"booking_id": "3426812"}
FLIGHT = {"travel_from": "RMS", "travel_to": "CDG", "travel_date": "2024-05-01", "travel_class": "first"}
CITY_FLIGHT = {**FLIGHT, "travel_from": "Rivermist"}
BOOKED = {**TOKEN, **CARD, **FLIGHT}
INSURED = {**TOKEN, **CARD, **BOOKING, "insurance_cost": 90.0, "insurance_type": "full"}
ORDER, TWEET, TICKET = {"order_id": 7}, {"tweet_id": 7}, {"ticket_id": 7}
UNITS = {"value": 3, "unit_in": "mi", "unit_out": "km"}
ROUTE = {"cityA": "94016", "cityB": "08540"}
LOGIN_FIRST = "User not authenticated. Please log in to"

SURFACE: dict[ModuleType, list[tuple[str, dict[str, Any], str]]] = {
    file_system: [
        (
            "cp",
            {"source": "notes.txt", "destination": "archive"},
            CRASH + "File 'notes.txt' already exists in directory 'archive'.",
        ),
        (
            "cp",
            {"source": "archive", "destination": "archive"},
            CRASH + "Directory 'archive' already exists in directory 'archive'.",
        ),
        (
            "cd",
            {"folder": "archive/old"},
            "cd: archive/old: Unsupported path. Only one folder level at a time is supported.",
        ),
        ("cd", {"folder": ".."}, "Current directory is already the root. Cannot go back."),
        ("cd", {"folder": ".."}, "cd: ..: No such directory"),
        ("cd", {"folder": "lost"}, "cd: 'lost': No such file or directory"),
        ("cd", {"folder": "notes.txt"}, "cd: 'notes.txt': No such file or directory"),
        ("mkdir", {"dir_name": "a|b"}, "mkdir: cannot create directory 'a|b': Invalid character"),
        ("cat", {"file_name": "a|b"}, "cat: 'a|b': Invalid character"),
        ("mkdir", {"dir_name": "archive"}, "mkdir: cannot create directory 'archive': File exists"),
        ("touch", {"file_name": "a?b"}, "touch: cannot touch 'a?b': Invalid character"),
        ("touch", {"file_name": "notes.txt"}, "touch: cannot touch 'notes.txt': File exists"),
        ("echo", {"file_name": "a:b", "content": ""}, "echo: cannot write to 'a:b': Invalid character"),
        ("echo", {"file_name": "lost", "content": ""}, "echo: cannot write to 'lost': No such file"),
        ("echo", {"file_name": "archive", "content": ""}, CRASH + "'Directory' object has no attribute '_write'"),
        ("cat", {"file_name": "archive/notes.txt"}, "cat: 'archive/notes.txt': Invalid character"),
        ("cat", {"file_name": "archive"}, "cat: 'archive': Is a directory"),
        ("cat", {"file_name": "lost"}, "cat: 'lost': No such file or directory"),
        ("find", {"path": "lost"}, "find: 'lost': No such file or directory"),
        ("wc", {"file_name": "notes.txt", "mode": "z"}, "wc: invalid mode 'z'"),
        ("wc", {"file_name": "lost"}, "wc: lost: No such file or directory"),
        ("sort", {"file_name": "lost"}, "sort: lost: No such file or directory"),
        ("grep", {"file_name": "archive", "pattern": "x"}, "grep: archive: No such file or directory"),
        ("tail", {"file_name": "lost"}, "tail: lost: No such file or directory"),
        (
            "diff",
            {"file_name1": "notes.txt", "file_name2": "lost"},
            "diff: notes.txt or lost: No such file or directory",
        ),
        ("mv", {"source": "lost", "destination": "archive"}, "mv: cannot move 'lost': No such file or directory"),
        ("mv", {"source": "lost", "destination": "archive"}, "mv: cannot move 'lost': Not a file or directory"),
        (
            "mv",
            {"source": "plan.txt", "destination": "archive/x"},
            "mv: path not allowed in destination. Provide only a file or directory name.",
        ),
        (
            "mv",
            {"source": "notes.txt", "destination": "archive"},
            "mv: cannot move 'notes.txt' to 'archive/notes.txt': File exists",
        ),
        (
            "mv",
            {"source": "plan.txt", "destination": "notes.txt"},
            "mv: cannot move 'plan.txt' to 'notes.txt': Not a directory",
        ),
        ("rm", {"file_name": "lost"}, "rm: cannot remove 'lost': Not a file or directory"),
        ("rm", {"file_name": "archive/notes.txt"}, "rm: cannot remove 'archive/notes.txt': No such file or directory"),
        ("rmdir", {"dir_name": "archive"}, "rmdir: cannot remove 'archive': Directory not empty"),
        ("rmdir", {"dir_name": "notes.txt"}, "rmdir: cannot remove 'notes.txt': Not a directory"),
        ("rmdir", {"dir_name": "lost"}, "rmdir: cannot remove 'lost': No such file or directory"),
        ("cp", {"source": "lost", "destination": "x"}, "cp: cannot copy 'lost': No such file or directory"),
        ("cp", {"source": "lost", "destination": "x"}, "cp: cannot copy 'lost': Not a file or directory"),
        (
            "cp",
            {"source": "plan.txt", "destination": "archive/x"},
            "cp: path not allowed in destination. Provide only a file or directory name.",
        ),
        (
            "cp",
            {"source": "notes.txt", "destination": "archive"},
            "cp: cannot copy 'notes.txt' to 'archive/notes.txt': File exists",
        ),
        (
            "cp",
            {"source": "plan.txt", "destination": "notes.txt"},
            "cp: cannot copy 'plan.txt' to 'notes.txt': Not a directory",
        ),
    ],
    mathematics: [
        ("logarithm", {"value": 2, "base": 1, "precision": 5}, '{"error": ""}'),
        ("logarithm", {"value": "two", "base": 2, "precision": 5}, "could not convert 'two' to mpf"),
        ("mean", {"numbers": []}, "Cannot calculate mean of an empty list"),
        ("mean", {"numbers": ["a"]}, "All elements in the list must be numbers"),
        ("standard_deviation", {"numbers": []}, "Cannot calculate standard deviation of an empty list"),
        ("standard_deviation", {"numbers": ["a"]}, "All elements in the list must be numbers"),
        ("si_unit_conversion", {**UNITS, "value": "3"}, "Value must be a number"),
        ("si_unit_conversion", UNITS, "Conversion from 'mi' to 'km' is not supported"),
        ("si_unit_conversion", UNITS, "Conversion resulted in a value too large to represent"),
        ("imperial_si_conversion", {**UNITS, "value": "3"}, "Value must be a number"),
        ("imperial_si_conversion", UNITS, "Conversion from 'mi' to 'km' is not supported"),
        (
            "imperial_si_conversion",
            {**UNITS, "unit_in": "km", "unit_out": "ft"},
            "Conversion from 'km' to 'ft' is not supported",
        ),
        ("imperial_si_conversion", UNITS, "Conversion resulted in a value too large to represent"),
        *(
            (tool, {"a": "1", "b": 2}, "Both inputs must be numbers")
            for tool in ("add", "subtract", "multiply", "divide")
        ),
        ("divide", {"a": 1, "b": 0}, "Cannot divide by zero"),
        ("power", {"base": "2", "exponent": 2}, "Both inputs must be numbers"),
        ("power", {"base": 9.9, "exponent": 999}, CRASH + "(34, 'Numerical result out of range')"),
        ("power", {"base": 0, "exponent": -1}, CRASH + "0.0 cannot be raised to a negative power"),
        ("square_root", {"number": -1, "precision": 2}, "Cannot calculate square root of a negative number"),
        (
            "square_root",
            {"number": "4", "precision": 2},
            "Input must be a number or computation resulted in an invalid operation",
        ),
        ("absolute_value", {"number": "4"}, "Input must be a number"),
        ("round_number", {"number": "4"}, "First input must be a number, second input must be an integer"),
        ("percentage", {"part": 1, "whole": 0}, "Whole value cannot be zero"),
        ("percentage", {"part": "1", "whole": 2}, "Both inputs must be numbers"),
        ("min_value", {"numbers": []}, "Cannot find minimum of an empty list"),
        ("max_value", {"numbers": []}, "Cannot find maximum of an empty list"),
        ("sum_values", {"numbers": []}, "Cannot calculate sum of an empty list"),
        *(
            (tool, {"numbers": ["a"]}, "All elements in the list must be numbers")
            for tool in ("min_value", "max_value", "sum_values")
        ),
    ],
    message: [
        ("get_user_id", {"user": "Bob"}, "User 'Bob' not found in the workspace."),
        ("get_user_id", {"user": "USR001"}, "User 'USR001' not found in the workspace."),
        ("message_login", {"user_id": "7"}, '{"login_status": false, "message": "User ID \'7\' not found."}'),
        ("send_message", {"receiver_id": "Ada", "message": "hi"}, "Receiver ID 'Ada' not found."),
        ("message_login", {"user_id": "Ada"}, '{"login_status": false, "message": "User ID \'Ada\' not found."}'),
        ("send_message", {"receiver_id": "Bob", "message": "hi"}, "No user is currently logged in."),
        ("send_message", {"receiver_id": "Bob", "message": "hi"}, "Receiver ID 'Bob' not found."),
        ("delete_message", {"receiver_id": "Bob"}, "No user is currently logged in."),
        ("delete_message", {"receiver_id": "Bob"}, "Receiver ID Bob not found."),
        ("view_messages_sent", {}, "No user is currently logged in."),
        ("add_contact", {"user_name": "Ada"}, "User name 'Ada' already exists."),
        ("add_contact", {"user_name": "Bob"}, "User ID 'USR002' already exists."),
        ("search_messages", {"keyword": "hi"}, "No user is currently logged in."),
        ("get_message_stats", {}, "No user is currently logged in."),
    ],
    twitter: [
        ("authenticate_twitter", {"username": "ada", "password": "x"}, '{"authentication_status": false}'),
        ("post_tweet", {"content": "hi"}, "User not authenticated. Please authenticate before posting."),
        ("retweet", TWEET, "User not authenticated. Please authenticate before retweeting."),
        ("retweet", TWEET, "Tweet with ID 7 not found."),
        (
            "comment",
            {**TWEET, "comment_content": "hi"},
            "User not authenticated. Please authenticate before commenting.",
        ),
        ("comment", {**TWEET, "comment_content": "hi"}, "Tweet with ID 7 not found."),
        ("mention", {**TWEET, "mentioned_usernames": ["bob"]}, "Tweet with ID 7 not found."),
        ("follow_user", {"username_to_follow": "bob"}, "User not authenticated. Please authenticate before following."),
        ("follow_user", {"username_to_follow": "bob"}, '{"follow_status": false}'),
        ("list_all_following", {}, "User not authenticated. Please authenticate before listing following."),
        (
            "unfollow_user",
            {"username_to_unfollow": "cy"},
            "User not authenticated. Please authenticate before unfollowing.",
        ),
        ("unfollow_user", {"username_to_unfollow": "cy"}, '{"unfollow_status": false}'),
        ("get_tweet", {"tweet_id": "7"}, "Tweet with ID 7 not found."),
        ("get_tweet_comments", TWEET, "Tweet with ID 7 not found."),
    ],
    ticket: [
        ("create_ticket", {"title": "t"}, f"{LOGIN_FIRST} create a ticket."),
        ("create_ticket", {"title": "t", "priority": 9}, "Invalid priority. Priority must be between 1 and 5."),
        *((tool, TICKET, "Ticket with ID 7 not found.") for tool in ("get_ticket", "close_ticket", "edit_ticket")),
        ("resolve_ticket", {"ticket_id": "7", "resolution": "r"}, "Ticket with ID 7 not found."),
        ("close_ticket", TICKET, "Ticket with ID 7 is already closed."),
        ("resolve_ticket", TICKET, "Ticket with ID 7 is already resolved."),
        ("edit_ticket", {**TICKET, "updates": {"owner": "a"}}, "Invalid fields for update: owner"),
        ("ticket_login", {"username": "", "password": ""}, '{"success": false}'),
        ("logout", {}, '{"success": false}'),
        ("get_user_tickets", {}, f"[{{'error': '{LOGIN_FIRST} view tickets.'}}]"),
    ],
    trading: [
        ("get_stock_info", {"symbol": "Apple"}, "Stock with symbol 'Apple' not found."),
        ("get_order_details", ORDER, "Order with ID 7 not found.Here is the list of orders_id: [1, 2]"),
        ("get_order_details", ORDER, "KeyError during formatting: 'symbol'"),
        ("cancel_order", ORDER, "Order with ID 7 not found."),
        ("cancel_order", {"order_id": "7"}, "Order with ID 7 not found."),
        ("cancel_order", ORDER, "Can't cancel order 7. Order is already completed."),
        ("get_stock_info", {"symbol": "aapl"}, "Stock with symbol 'aapl' not found."),
        ("place_order", {"symbol": "Apple"}, f"{LOGIN_FIRST} place an order."),
        ("place_order", {"symbol": "Apple"}, "Invalid stock symbol: Apple"),
        ("place_order", {"symbol": "X", "price": 0}, "Price and amount must be positive values."),
        ("place_order", {"symbol": "X", "price": 9}, "Insufficient funds: required $9.00 but only $3.00 available."),
        ("withdraw_funds", {"amount": 5}, f"{LOGIN_FIRST} make a transaction."),
        ("withdraw_funds", {"amount": 5}, "Market is closed. Transactions are not allowed."),
        ("withdraw_funds", {"amount": -5}, "Transaction amount must be positive."),
        ("withdraw_funds", {"amount": 5}, "Insufficient funds for withdrawal."),
        ("get_account_info", {}, f"{LOGIN_FIRST} view account information."),
        ("fund_account", {"amount": 5}, f"{LOGIN_FIRST} fund the account."),
        ("fund_account", {"amount": -5}, "Funding amount must be positive."),
        ("remove_stock_from_watchlist", {"symbol": "Apple"}, f"{LOGIN_FIRST} modify the watchlist."),
        ("remove_stock_from_watchlist", {"symbol": "Apple"}, "Stock Apple not found in watchlist."),
        ("remove_stock_from_watchlist", {"symbol": "AAPL"}, "Stock AAPL not found in watchlist."),
        ("get_watchlist", {}, f"['Error: {LOGIN_FIRST} view the watchlist.']"),
        ("get_order_history", {}, f"[{{'error': '{LOGIN_FIRST} view order history.'}}]"),
        ("get_transaction_history", {}, f"[{{'error': '{LOGIN_FIRST} view transaction history.'}}]"),
        ("get_transaction_history", {"start_date": "May"}, CRASH + "time data 'May' does not match format '%Y-%m-%d'"),
        ("get_symbol_by_name", {"name": "Nobody"}, '{"symbol": "Stock not found"}'),
        ("get_symbol_by_name", {"name": "NVDA"}, '{"symbol": "Stock not found"}'),
        ("add_to_watchlist", {"stock": "aapl"}, '{"watchlist": ["NVDA"]}'),
        ("get_available_stocks", {"sector": "Tech"}, '{"stock_list": []}'),
        ("add_to_watchlist", {"stock": "Apple"}, '{"watchlist": ["NVDA"]}'),
        ("get_stock_info", {"symbol": "Stock not found"}, "Stock with symbol 'Stock not found' not found."),
    ],
    travel: [
        ("register_credit_card", {**TOKEN, "card_number": "42"}, "Token not initialized"),
        ("register_credit_card", {**TOKEN, "card_number": "42"}, "Card already registered"),
        *((tool, TOKEN, error) for tool in travel.WITH_TOKEN for error in ("Token expired", "Invalid access token")),
        ("get_flight_cost", CITY_FLIGHT, CRASH + "No available route for the given airports."),
        ("get_flight_cost", FLIGHT, CRASH + "No available route for the given airports."),
        (
            "get_flight_cost",
            {**FLIGHT, "travel_to": "cdg"},
            CRASH + "No available route for the given airports.",
        ),
        ("get_flight_cost", FLIGHT, CRASH + "Invalid travel class. Options are: economy, business, first."),
        ("get_credit_card_balance", {**TOKEN, **CARD}, "Card not registered. Here are a list of card_id's: ['card_1']"),
        ("book_flight", BOOKED, "Card not registered"),
        ("book_flight", BOOKED, "Balance not found"),
        ("book_flight", {**BOOKED, **CITY_FLIGHT}, "Invalid departure airport code: Rivermist"),
        ("book_flight", {**BOOKED, "travel_to": "Paris"}, "Invalid destination airport code: Paris"),
        ("book_flight", BOOKED, "Invalid date format. Use YYYY-MM-DD."),
        ("book_flight", BOOKED, "Invalid travel class. Must be one of {'business', 'economy', 'first'}"),
        ("book_flight", BOOKED, "No available route for the given parameters"),
        ("book_flight", BOOKED, "No available route for the given airports."),
        ("book_flight", BOOKED, "Insufficient funds"),
        ("book_flight", BOOKED, "Balance is less than budget limit"),
        ("retrieve_invoice", {**TOKEN, **BOOKING}, "Booking not found"),
        ("retrieve_invoice", {**TOKEN, "insurance_id": "1"}, "Booking not found"),
        ("cancel_booking", {**TOKEN, **BOOKING}, "Booking not found"),
        ("purchase_insurance", INSURED, "Booking not found"),
        ("purchase_insurance", INSURED, "Exceeded budget limit"),
        ("purchase_insurance", INSURED, "Credit card not registered"),
        ("contact_customer_support", {**BOOKING, "message": "hi"}, "Booking not found"),
        (
            "compute_exchange_rate",
            {"base_currency": "EUR", "target_currency": "JPY", "value": 1},
            CRASH + "No available exchange rate for the given currencies.",
        ),
        *(
            (
                "compute_exchange_rate",
                {"base_currency": one, "target_currency": other, "value": 1},
                CRASH + "No available exchange rate for the given currencies.",
            )
            for one, other in (("EUR", "euro"), ("USD", "USD"))
        ),
        (
            "verify_traveler_information",
            {},
            '{"verification_failure": "Cannot book flight information for another user.Expected Ada L, got Bob M"}',
        ),
        (
            "verify_traveler_information",
            {},
            '{"verification_failure": "Cannot book flight information for another user.Expected None None, got Bob M"}',
        ),
        (
            "verify_traveler_information",
            {},
            '{"verification_failure": "Invalid date of birth format. Please use YYYY-MM-DD."}',
        ),
        ("verify_traveler_information", {}, '{"verification_failure": "Traveler must be at least 18 years old."}'),
        (
            "verify_traveler_information",
            {},
            '{"verification_failure": "Passport must be issued by the United States."}',
        ),
        ("get_flight_cost", {**FLIGHT, "travel_to": "Unknown"}, CRASH + "No available route for the given airports."),
        ("get_nearest_airport_by_city", {"location": "LAX"}, '{"nearest_airport": "Unknown"}'),
        ("get_nearest_airport_by_city", {"location": "Nowhere"}, '{"nearest_airport": "Unknown"}'),
    ],
    vehicle: [
        (
            "startEngine",
            {"ignitionMode": "START"},
            "All doors must be locked before starting the engine. Here are the unlocked doors: driver",
        ),
        ("startEngine", {"ignitionMode": "STOP"}, "Invalid ignition mode."),
        ("startEngine", {"ignitionMode": "START"}, "Brake pedal needs to be pressed when starting the engine."),
        ("startEngine", {"ignitionMode": "START"}, "Must press the brake fully before starting the engine."),
        ("startEngine", {"ignitionMode": "START"}, "Fuel tank is empty."),
        ("startEngine", {"ignitionMode": "GO"}, "Invalid ignition mode."),
        ("fillFuelTank", {"fuelAmount": -1}, "Fuel amount cannot be negative."),
        ("fillFuelTank", {"fuelAmount": 99}, "Cannot fill gas above the tank capacity."),
        ("fillFuelTank", {"fuelAmount": 1}, "Fuel tank is empty. Min fuel level is 0 gallons."),
        ("adjustClimateControl", {"fanSpeed": 101}, "Fan speed must be between 0 and 100."),
        ("get_outside_temperature_from_weather_com", {}, '{"error": 404}'),
        ("setHeadlights", {"mode": "dim"}, "Invalid headlight mode."),
        ("setHeadlights", {"mode": ["on"]}, "Invalid headlight mode."),
        ("displayCarStatus", {"option": "tires"}, "Invalid option"),
        ("activateParkingBrake", {"mode": "engaged"}, "Invalid mode"),
        ("activateParkingBrake", {"mode": "pull"}, "Invalid mode"),
        ("pressBrakePedal", {"pedalPosition": 2}, "Pedal position must be between 0 and 1."),
        ("setCruiseControl", {"speed": 61}, "Start the engine before activating the cruise control."),
        ("setCruiseControl", {"speed": 61}, "Invalid speed"),
        ("estimate_drive_feasibility_by_mileage", {"distance": 900}, '{"canDrive": false}'),
        ("estimate_distance", {"cityA": "Rivermist", "cityB": "94016"}, "distance not found in database."),
        ("estimate_distance", ROUTE, "distance not found in database."),
        ("estimate_distance", {**ROUTE, "cityA": 94016}, "distance not found in database."),
        ("estimate_distance", {**ROUTE, "cityA": "08540"}, "distance not found in database."),
        ("estimate_distance", {**ROUTE, "cityA": "00000"}, "distance not found in database."),
        ("get_zipcode_based_on_city", {"city": "94016"}, '{"zipcode": "00000"}'),
        ("get_zipcode_based_on_city", {"city": "Rivermist, ID"}, '{"zipcode": "00000"}'),
        ("get_zipcode_based_on_city", {"city": "Nowhere"}, '{"zipcode": "00000"}'),
        ("lockDoors", {"unlock": False, "door": ["trunk"]}, CRASH + "'trunk'"),
        ("lockDoors", {"unlock": False, "door": "driver"}, CRASH + "'d'"),
    ],
    python_errors: [
        ("sell_house", {}, CRASH + "name 'sell_house' is not defined, as no such tool is offered"),
        ("echo", {}, CRASH + "GorillaFileSystem.echo() missing 1 required positional argument: 'content'"),
        ("ls", {"path": "x"}, CRASH + "GorillaFileSystem.ls() got an unexpected keyword argument 'path'"),
        ("find", {}, CRASH + "maximum recursion depth exceeded"),
        ("fund_account", {"amount": "5"}, CRASH + "'<=' not supported between instances of 'str' and 'int'"),
        ("get_tweet", {"tweet_id": [7]}, CRASH + "unhashable type: 'list'"),
        ("wc", {"file_name": 7}, CRASH + "'int' object has no attribute 'splitlines'"),
        ("cancel_booking", {**TOKEN, **BOOKING}, CRASH + "'card_id'"),
        ("ls", {}, CRASH + "invalid syntax (<string>, line 1)"),
        ("touch", {"file_name": "n"}, CRASH + "'file_name' has 900 characters; 255 are allowed"),
        ("find", {}, CRASH + "the result has 900000 characters; 200000 can be shown"),
        ("echo", {"content": "n"}, CRASH + "the arguments are too large; 30000 characters and 1000 values are allowed"),
        ("logarithm", {"precision": 9999}, CRASH + "'precision' is beyond 500 digits"),
        ("echo", {"content": "n"}, CRASH + "the arguments are nested deeper than 20 levels"),
        (
            "find",
            {},
            CRASH + "the calls before it returned 400000 characters or more; make this call in your next response",
        ),
        (
            "ls",
            {},
            CRASH + "earlier calls have filled the world; 300000 characters and 6000 values are allowed",
        ),
        ("add", {"a": 1, "b": 1}, CRASH + "an integer has more than 4096 bits"),
        ("mkdir", {"dir_name": "n"}, CRASH + "directories can be nested 64 levels deep at most"),
        (
            "cp",
            {"source": "n", "destination": "m"},
            CRASH + "the file system would hold too much; 1000 items and 500000 characters are allowed",
        ),
        ("power", {"base": 9, "exponent": 9**9}, CRASH + "the result of 'power' would be too large to write down"),
        ("cp", {"source": "n", "destination": "n"}, CRASH + "a directory cannot be put inside itself"),
        ("add", {"a": float("nan"), "b": 1}, CRASH + "an argument is not a number (NaN)"),
        ("echo", {"content": "n"}, CRASH + "an argument contains half of a surrogate pair"),
    ],
}
ANSWERS = tuple(
    f'{{"{key}": ' for key in ("symbol", "stock_list", "watchlist", "nearest_airport", "canDrive", "zipcode")
)
EXAMPLES = [(table, *example) for table, examples in SURFACE.items() for example in examples]


def whole_text(message: str) -> str:
    """The result's text. Exceptions, and results that are no plain ``error``, are written down whole."""
    return message if message.startswith((CRASH, "{", "[")) else json.dumps({"error": message})


def result(tool: str, arguments: dict[str, Any], message: str) -> ToolResult:
    text = whole_text(message)
    return ToolResult(ToolCall(tool, arguments), text.startswith(ANSWERS), text)
