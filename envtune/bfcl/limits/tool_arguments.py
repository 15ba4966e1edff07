"""Limits on the arguments of single BFCL tools, checked before a call runs."""

from __future__ import annotations

from typing import Any

from envtune.environment.limits import LimitExceeded
from envtune.task import ToolCall

MAX_POWER_BITS = 14_000
MAX_PRECISION_DIGITS = 500
MAX_SHORT_CHARACTERS = 255

# Arguments whose length a tool multiplies: names that paths in a tree repeat, texts that are compared with or copied
# into each entry of a world, and texts that Python's * repeats.
SHORT_ARGUMENTS = {
    "cp": "destination",
    "mv": "destination",
    "mkdir": "dir_name",
    "touch": "file_name",
    "search_tweets": "keyword",
    "get_user_tickets": "status",
    "ticket_login": "username",
    "get_flight_cost": "travel_date",
    "compute_exchange_rate": "value",
}
PRECISIONS = {"logarithm": "precision", "square_root": "precision", "round_number": "decimal_places"}


def check_tool_arguments(call: ToolCall) -> None:
    """Check the arguments of a call against its tool's own limits.

    Raises:
        LimitExceeded: an argument is beyond a limit.
    """
    if call.name in SHORT_ARGUMENTS:
        _check_short(SHORT_ARGUMENTS[call.name], call.arguments.get(SHORT_ARGUMENTS[call.name]))
    if call.name == "echo" and not isinstance(call.arguments.get("content"), str):
        _check_short("content", call.arguments.get("content"))
    if call.name == "power":
        _check_power(call.arguments.get("base"), call.arguments.get("exponent"))
    if call.name in PRECISIONS:
        digits = call.arguments.get(PRECISIONS[call.name])
        if _magnitude(digits) > MAX_PRECISION_DIGITS:
            raise LimitExceeded(f"'{PRECISIONS[call.name]}' is beyond {MAX_PRECISION_DIGITS} digits")


def _check_short(name: str, value: Any) -> None:
    if isinstance(value, int | float):
        return
    characters = len(value if isinstance(value, str) else str(value))
    if characters > MAX_SHORT_CHARACTERS:
        raise LimitExceeded(f"'{name}' has {characters} characters; {MAX_SHORT_CHARACTERS} are allowed")


def _check_power(base: Any, exponent: Any) -> None:
    if not isinstance(base, int) or not isinstance(exponent, int) or abs(base) < 2 or exponent < 0:
        return
    if base.bit_length() * exponent > MAX_POWER_BITS:
        raise LimitExceeded("the result of 'power' would be too large to write down")


def _magnitude(value: Any) -> float:
    """Return the magnitude of a number or numeric text; 0.0 for any other value, which the tool itself refuses."""
    try:
        return abs(float(value))
    except OverflowError:
        return float("inf")
    except (TypeError, ValueError):
        return 0.0
