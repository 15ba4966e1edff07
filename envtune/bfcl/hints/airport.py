"""Hints for the travel tools that find airports or take them (part of BFCL's TravelAPI)."""

from __future__ import annotations

import re
from collections.abc import Mapping

from envtune.environment.augmentation.rule import Readable, Rule, quoted, shown
from envtune.task import ToolCall
from envtune.trajectory import HintKind

NO_ROUTE = r"No available route"
NO_AIRPORT = "Unknown"
UNKNOWN_CODE = rf"{NO_ROUTE}|Invalid (departure|destination) airport code"
FIND_AIRPORT = (
    "Another tool, `get_nearest_airport_by_city`, finds the code for a city.",
    "`list_all_airports` shows the codes in use.",
    "Airports are given by their three-letter codes.",
)


def _unknown_codes(call: ToolCall, world: Readable) -> list[object]:
    """Return the airport codes in the call that are not in ``list_all_airports``, which the agent can read."""
    airports = world.view["TravelAPI"].list_all_airports()
    codes = [call.arguments[end] for end in ("travel_from", "travel_to") if end in call.arguments]
    return [code for code in codes if code not in airports]


def _codes_in_small_letters(call: ToolCall, world: Readable) -> list[object]:
    airports = world.view["TravelAPI"].list_all_airports()
    return [code for code in _unknown_codes(call, world) if str(code).upper() in airports]


def _small_letters(call: ToolCall, match: re.Match[str], world: Readable) -> str:
    codes = _codes_in_small_letters(call, world)
    return f"The letters of airport codes are capitals, and those of {quoted(codes)} are not."


def _unknown_airport(call: ToolCall, match: re.Match[str], world: Readable) -> str:
    codes = _unknown_codes(call, world)
    return f"{quoted(codes)} {'is no airport code' if len(codes) == 1 else 'are no airport codes'} known here."


def _no_flight(call: ToolCall, match: re.Match[str], world: Readable) -> str:
    start, end = (shown(call.arguments.get(name)) for name in ("travel_from", "travel_to"))
    if start == end:
        return f"The flight would begin and end at '{start}'."
    route = f"no flight goes from '{start}' to '{end}' in any class on any day"
    return f"Both codes are known, but {route}, and a route in one direction does not mean one back."


RULES: tuple[Rule, ...] = (
    Rule(
        name="travel.airport_not_found",
        tools=("get_flight_cost", "book_flight"),
        pattern=UNKNOWN_CODE,
        kind=HintKind.DEPENDENCY,
        text=f"'{NO_AIRPORT}' is not an airport: it stands for a place for which no airport was found.",
        directions=(
            "`list_all_airports` shows the codes in use.",
            "The document of `get_nearest_airport_by_city` lists the places it knows.",
            "Ask the user for an airport.",
        ),
        when=lambda call, match, world: (
            NO_AIRPORT in (call.arguments.get("travel_from"), call.arguments.get("travel_to"))
        ),
    ),
    Rule(
        name="travel.code_in_small_letters",
        tools=("get_flight_cost", "book_flight"),
        pattern=UNKNOWN_CODE,
        text=_small_letters,
        when=lambda call, match, world: bool(_codes_in_small_letters(call, world)),
    ),
    Rule(
        name="travel.unknown_airport",
        tools=("get_flight_cost", "book_flight"),
        pattern=UNKNOWN_CODE,
        kind=HintKind.DEPENDENCY,
        text=_unknown_airport,
        directions=FIND_AIRPORT,
        when=lambda call, match, world: bool(_unknown_codes(call, world)),
    ),
    Rule(
        name="travel.no_flight",
        tools=("get_flight_cost", "book_flight"),
        pattern=NO_ROUTE,
        text=_no_flight,
        directions=(
            "`get_nearest_airport_by_city` shows whether they are the airports the user means; if so, tell the user.",
            "Check that both ends are the airports the user means, or tell the user.",
        ),
    ),
)

NON_ANSWERS: tuple[Rule, ...] = (
    Rule(
        name="travel.code_for_place",
        tools=("get_nearest_airport_by_city",),
        pattern=rf'"nearest_airport": "{NO_AIRPORT}"',
        text="'{location}' is an airport's code already, and `{tool}` finds the codes for places by their names.",
        directions=("Codes can be used as they are, in capital letters.",),
        when=lambda call, match, world: (
            str(call.arguments.get("location")).upper() in world.view["TravelAPI"].list_all_airports()
        ),
    ),
    Rule(
        name="travel.place_without_airport",
        tools=("get_nearest_airport_by_city",),
        pattern=rf'"nearest_airport": "{NO_AIRPORT}"',
        text="No airport is on record for a place of exactly this name.",
        directions=("The tool's document lists the places that it knows.",),
    ),
)

ALREADY_ACTIONABLE: Mapping[str, str] = {}
