"""Hints for the car's tools that find zip codes or take them (part of BFCL's VehicleControlAPI)."""

from __future__ import annotations

import re
from collections.abc import Mapping

from envtune.environment.augmentation.rule import Readable, Rule, quoted
from envtune.task import ToolCall
from envtune.trajectory import HintKind

NO_ZIPCODE = "00000"


def _ends(call: ToolCall) -> list[object]:
    return [call.arguments[end] for end in ("cityA", "cityB") if end in call.arguments]


def _not_zipcodes(call: ToolCall) -> list[object]:
    return [place for place in _ends(call) if not _is_zipcode(place)]


def _is_zipcode(place: object) -> bool:
    return re.fullmatch(r"\d{5}", str(place)) is not None


def _numbers(call: ToolCall) -> list[object]:
    return [place for place in _ends(call) if isinstance(place, int | float)]


def _not_a_zipcode(call: ToolCall, match: re.Match[str], world: Readable) -> str:
    places = _not_zipcodes(call)
    return f"`{call.name}` takes zip codes, and {quoted(places)} {'is none' if len(places) == 1 else 'are none'}."


RULES: tuple[Rule, ...] = (
    Rule(
        name="vehicle.zipcode_not_found",
        tools=("estimate_distance",),
        pattern=r"distance not found",
        kind=HintKind.DEPENDENCY,
        text=f"'{NO_ZIPCODE}' is not a place: it stands for a city whose zip code was not found.",
        directions=(
            "Another form of the city's name may be the one that `get_zipcode_based_on_city` knows.",
            "The user may know the zip code.",
        ),
        when=lambda call, match, world: NO_ZIPCODE in (call.arguments.get("cityA"), call.arguments.get("cityB")),
    ),
    Rule(
        name="vehicle.place_not_zipcode",
        tools=("estimate_distance",),
        pattern=r"distance not found",
        kind=HintKind.DEPENDENCY,
        text=_not_a_zipcode,
        directions=("Another tool, `get_zipcode_based_on_city`, finds the one of a city.", "The user may know them."),
        when=lambda call, match, world: bool(_not_zipcodes(call)),
    ),
    Rule(
        name="vehicle.zipcode_not_text",
        tools=("estimate_distance",),
        pattern=r"distance not found",
        text=lambda call, match, world: (
            f"`{call.name}` takes zip codes as text, and you gave {quoted(_numbers(call))} as a number."
        ),
        when=lambda call, match, world: bool(_numbers(call)),
    ),
    Rule(
        name="vehicle.same_place",
        tools=("estimate_distance",),
        pattern=r"distance not found",
        text="Both ends are '{cityA}', and no distance is on record from a place to itself.",
        directions=(
            "`get_zipcode_based_on_city` finds the zip code of the other city.",
            "Check which two cities the user means.",
        ),
        when=lambda call, match, world: call.arguments.get("cityA") == call.arguments.get("cityB"),
    ),
    Rule(
        name="vehicle.distance_unknown",
        tools=("estimate_distance",),
        pattern=r"distance not found",
        text="No distance is on record between '{cityA}' and '{cityB}'.",
        directions=(
            "`get_zipcode_based_on_city` can confirm both zip codes; if they are right, tell the user.",
            "Check both zip codes; if they are right, tell the user.",
        ),
    ),
)

NON_ANSWERS: tuple[Rule, ...] = (
    Rule(
        name="vehicle.zipcode_for_city",
        tools=("get_zipcode_based_on_city",),
        pattern=rf'"zipcode": "{NO_ZIPCODE}"',
        text="'{city}' is a zip code already, and `{tool}` finds the zip codes of cities by their names.",
        directions=("It can be used as it is where a zip code is asked for.",),
        when=lambda call, match, world: _is_zipcode(call.arguments.get("city")),
    ),
    Rule(
        name="vehicle.city_with_addition",
        tools=("get_zipcode_based_on_city",),
        pattern=rf'"zipcode": "{NO_ZIPCODE}"',
        text=f"'{NO_ZIPCODE}' stands for not found: no city with exactly this name is known here.",
        directions=("Give the bare name, without a state or a country, or ask the user for the zip code.",),
        when=lambda call, match, world: "," in str(call.arguments.get("city")),
    ),
    Rule(
        name="vehicle.city_without_zipcode",
        tools=("get_zipcode_based_on_city",),
        pattern=rf'"zipcode": "{NO_ZIPCODE}"',
        text=f"'{NO_ZIPCODE}' stands for not found: no city with exactly this name is known here.",
        directions=("Check how the user writes it, or ask the user for the zip code.",),
    ),
)

ALREADY_ACTIONABLE: Mapping[str, str] = {}
