"""Hints for the car's tools (BFCL's VehicleControlAPI): starting conditions, accepted modes, zip codes."""

from __future__ import annotations

import re
from collections.abc import Mapping

from envtune.bfcl.hints.python_errors import TYPE_NAMES
from envtune.environment.augmentation.rule import Readable, Rule, quoted
from envtune.task import ToolCall
from envtune.trajectory import HintKind

NO_ZIPCODE = "00000"
SHOW_STATUS = ("`displayCarStatus` shows the present state.", "Check the present state of the car first.")
READ_DOCUMENT = ("The tool's document lists those that it accepts.",)
MODES = {
    "startEngine": "ignitionMode",
    "setHeadlights": "mode",
    "displayCarStatus": "option",
    "activateParkingBrake": "mode",
}


def _not_zipcodes(call: ToolCall) -> list[object]:
    places = [call.arguments[end] for end in ("cityA", "cityB") if end in call.arguments]
    return [place for place in places if not re.fullmatch(r"\d{5}", str(place))]


def _not_a_zipcode(call: ToolCall, match: re.Match[str], world: Readable) -> str:
    places = _not_zipcodes(call)
    return f"`{call.name}` takes zip codes, and {quoted(places)} {'is none' if len(places) == 1 else 'are none'}."


def _not_text(call: ToolCall, match: re.Match[str], world: Readable) -> str:
    name = MODES[call.name]
    given = TYPE_NAMES.get(type(call.arguments[name]), "a value")
    return f"`{call.name}` takes '{name}' as a single piece of text, and you gave {given}."


RULES: tuple[Rule, ...] = (
    Rule(
        name="vehicle.stopped_all_the_same",
        tools=("startEngine",),
        pattern=r"\"error\":",
        text="The engine was stopped all the same: the message is about conditions for starting it.",
        directions=("`displayCarStatus` shows the engine's state.", "Nothing more is needed for stopping."),
        when=lambda call, match, world: call.arguments.get("ignitionMode") == "STOP",
    ),
    Rule(
        name="vehicle.mode_not_text",
        tools=tuple(MODES),
        pattern=r"Invalid (ignition mode|headlight mode|option|mode)",
        text=_not_text,
        directions=READ_DOCUMENT,
        when=lambda call, match, world: not isinstance(call.arguments.get(MODES[call.name], ""), str),
    ),
    Rule(
        name="vehicle.no_fuel",
        tools=("startEngine",),
        pattern=r"Fuel tank is empty",
        kind=HintKind.DEPENDENCY,
        text="The engine cannot start without fuel.",
        directions=(
            "`fillFuelTank` adds some; the amount may be worth asking or working out.",
            "The tank has to be filled first.",
        ),
    ),
    Rule(
        name="vehicle.ignition_mode",
        tools=("startEngine",),
        pattern=r"Invalid ignition mode",
        text="'{ignitionMode}' is not an ignition mode.",
        directions=READ_DOCUMENT,
    ),
    Rule(
        name="vehicle.tank_overflows",
        tools=("fillFuelTank",),
        pattern=r"above the tank capacity",
        text="{fuelAmount} gallons come on top of what the tank holds, and together that is more than fits.",
        directions=(
            "`displayCarStatus` shows the level, and the document of `{tool}` the capacity.",
            "The document of `{tool}` states the capacity.",
        ),
    ),
    Rule(
        name="vehicle.tank_stays_empty",
        tools=("fillFuelTank",),
        pattern=r"Fuel tank is empty\. Min fuel level",
        text="With {fuelAmount} gallons more the tank would still be below its lowest level.",
        directions=SHOW_STATUS,
    ),
    Rule(
        name="vehicle.weather_site_down",
        tools=("get_outside_temperature_from_weather_com",),
        pattern=r"404",
        kind=HintKind.DEPENDENCY,
        text="This source does not answer, and trying again does not change that.",
        directions=("`get_outside_temperature_from_google` asks another.", "The user may have to do without it."),
    ),
    Rule(
        name="vehicle.headlight_mode",
        tools=("setHeadlights",),
        pattern=r"Invalid headlight mode",
        text="'{mode}' is not a headlight mode.",
        directions=READ_DOCUMENT,
    ),
    Rule(
        name="vehicle.status_option",
        tools=("displayCarStatus",),
        pattern=r"Invalid option",
        text="'{option}' is no part of the car whose state can be shown.",
        directions=READ_DOCUMENT,
    ),
    Rule(
        name="vehicle.parking_brake_mode",
        tools=("activateParkingBrake",),
        pattern=r"Invalid mode",
        text="'{mode}' is not a mode of the parking brake: modes are commands, not the states they lead to.",
        directions=READ_DOCUMENT,
    ),
    Rule(
        name="vehicle.cruise_speed",
        tools=("setCruiseControl",),
        pattern=r"Invalid speed",
        text="A cruise speed of {speed} is not possible: it may be neither negative nor above the documented limit, "
        "and only comes in the documented steps.",
    ),
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
        name="vehicle.distance_unknown",
        tools=("estimate_distance",),
        pattern=r"distance not found",
        text="No distance is on record between '{cityA}' and '{cityB}'.",
        directions=(
            "`get_zipcode_based_on_city` can confirm both zip codes; if they are right, tell the user.",
            "Check both zip codes; if they are right, tell the user.",
        ),
    ),
    Rule(
        name="vehicle.doors_not_list",
        tools=("lockDoors",),
        pattern=r"^Error during execution: '.*'$",
        text="`door` takes a list of doors, even for a single one, and you gave the text '{door}'.",
        directions=READ_DOCUMENT,
        when=lambda call, match, world: isinstance(call.arguments.get("door"), str),
    ),
    Rule(
        name="vehicle.no_such_door",
        tools=("lockDoors",),
        pattern=r"^Error during execution: '(?P<missing>.*)'$",
        text="'{missing}' is not one of the doors that can be locked.",
        directions=(SHOW_STATUS[0], *READ_DOCUMENT),
    ),
)

NON_ANSWERS: tuple[Rule, ...] = (
    Rule(
        name="vehicle.city_without_zipcode",
        tools=("get_zipcode_based_on_city",),
        pattern=rf'"zipcode": "{NO_ZIPCODE}"',
        text=f"'{NO_ZIPCODE}' stands for not found: no city with exactly this name is known here.",
        directions=("Give the bare name, without a state or a country, or ask the user for the zip code.",),
    ),
)

ALREADY_ACTIONABLE: Mapping[str, str] = {
    r"All doors must be locked": "names the condition and lists the unlocked doors",
    r"Brake pedal needs to be pressed": "names the condition",
    r"Must press the brake fully": "names the condition",
    r"Fuel amount cannot be negative": "names the rule",
    r"Fan speed must be between 0 and 100": "gives the range",
    r"Pedal position must be between 0 and 1": "gives the range",
    r"Start the engine before": "names the condition",
    r'"canDrive": false': "an answer about the range, not a fault of the call",
}
