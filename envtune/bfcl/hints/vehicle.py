"""Hints for the car's tools (BFCL's VehicleControlAPI): starting conditions and accepted modes. See also zipcode.py."""

from __future__ import annotations

import re
from collections.abc import Mapping

from envtune.environment.augmentation.rule import TYPE_NAMES, Readable, Rule, shown
from envtune.task import ToolCall
from envtune.trajectory import HintKind

MAX_CRUISE_SPEED = 120
PARKING_BRAKE_STATES = ("engaged", "released")
SHOW_STATUS = ("`displayCarStatus` shows the present state.", "Check the present state of the car first.")
READ_DOCUMENT = ("The tool's document lists those that it accepts.",)
MODES = {
    "startEngine": "ignitionMode",
    "setHeadlights": "mode",
    "displayCarStatus": "option",
    "activateParkingBrake": "mode",
}


def _speed(call: ToolCall, match: re.Match[str], world: Readable) -> str:
    speed = call.arguments.get("speed")
    if not isinstance(speed, int | float):
        return f"'{shown(speed)}' is not a cruise speed."
    if 0 <= speed <= MAX_CRUISE_SPEED:
        return f"A cruise speed of {shown(speed)} is between two of the documented steps."
    return f"A cruise speed of {shown(speed)} is {'negative' if speed < 0 else 'above the documented limit'}."


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
        name="vehicle.door_unlocked",
        tools=("startEngine",),
        pattern=r"All doors must be locked",
        kind=HintKind.DEPENDENCY,
        text="The engine does not start while a door is unlocked.",
        directions=("`lockDoors` locks and unlocks doors.", "The doors come first."),
    ),
    Rule(
        name="vehicle.brake_released",
        tools=("startEngine",),
        pattern=r"Brake pedal needs to be pressed",
        kind=HintKind.DEPENDENCY,
        text="The engine does not start while the brake pedal is released.",
        directions=("`pressBrakePedal` moves the pedal.", "The pedal comes first."),
    ),
    Rule(
        name="vehicle.brake_pressed_in_part",
        tools=("startEngine",),
        pattern=r"Must press the brake fully",
        kind=HintKind.DEPENDENCY,
        text="The brake pedal is pressed only in part, and the engine does not start like this.",
        directions=("`pressBrakePedal` moves the pedal further.", "The pedal comes first."),
    ),
    Rule(
        name="vehicle.engine_stopped",
        tools=("setCruiseControl",),
        pattern=r"Start the engine before",
        kind=HintKind.DEPENDENCY,
        text="The cruise control can be set only while the engine runs, and it is stopped.",
        directions=("`startEngine` makes it run.", "The engine comes first."),
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
        name="vehicle.parking_brake_state",
        tools=("activateParkingBrake",),
        pattern=r"Invalid mode",
        text="'{mode}' is not a mode of the parking brake: modes are commands, not the states they lead to.",
        directions=READ_DOCUMENT,
        when=lambda call, match, world: call.arguments.get("mode") in PARKING_BRAKE_STATES,
    ),
    Rule(
        name="vehicle.parking_brake_mode",
        tools=("activateParkingBrake",),
        pattern=r"Invalid mode",
        text="'{mode}' is not a mode of the parking brake.",
        directions=READ_DOCUMENT,
    ),
    Rule(
        name="vehicle.cruise_speed",
        tools=("setCruiseControl",),
        pattern=r"Invalid speed",
        text=_speed,
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

ALREADY_ACTIONABLE: Mapping[str, str] = {
    r"Fuel amount cannot be negative": "names the rule",
    r"Fan speed must be between 0 and 100": "gives the range",
    r"Pedal position must be between 0 and 1": "gives the range",
    r'"canDrive": false': "an answer about the range, not a fault of the call",
}
