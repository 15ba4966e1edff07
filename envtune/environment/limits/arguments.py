"""Limits on the arguments of one call, checked before it runs."""

from __future__ import annotations

from typing import Any

from envtune.environment.limits.exceeded import LimitExceeded
from envtune.environment.limits.world import Size
from envtune.task import ToolCall

MAX_ARGUMENT_CHARACTERS = 30_000
MAX_ARGUMENT_ITEMS = 1_000
MAX_ARGUMENT_DEPTH = 20
MAX_INTEGER_BITS = 4_096
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


def check_arguments(call: ToolCall) -> Size:
    """Return the size of a call's arguments.

    Raises:
        LimitExceeded: they are too long, too deep, too many, not a number, not encodable, or beyond a tool's own limit.
    """
    size = _check_size(call)
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
    return size


def _check_short(name: str, value: Any) -> None:
    if isinstance(value, int | float):
        return
    characters = len(value if isinstance(value, str) else str(value))
    if characters > MAX_SHORT_CHARACTERS:
        raise LimitExceeded(f"'{name}' has {characters} characters; {MAX_SHORT_CHARACTERS} are allowed")


def _check_size(call: ToolCall) -> Size:
    characters, items = 0, 1
    nested: list[tuple[Any, int]] = []
    for name, value in call.arguments.items():
        characters += _characters(name) + _characters(value)
        items += 2
        if isinstance(value, dict | list | tuple | set):
            nested.append((value, 1))
    while nested:
        container, depth = nested.pop()
        parts = (part for pair in container.items() for part in pair) if isinstance(container, dict) else container
        for part in parts:
            characters += _characters(part)
            items += 1
            if isinstance(part, dict | list | tuple | set):
                nested.append((part, depth + 1))
        if container and depth >= MAX_ARGUMENT_DEPTH:
            raise LimitExceeded(f"the arguments are nested deeper than {MAX_ARGUMENT_DEPTH} levels")
        _check_totals(characters, items)
    _check_totals(characters, items)
    return Size(characters, items)


def _characters(value: Any) -> int:
    """Return the length of a text, and 0 for any other value.

    Raises:
        LimitExceeded: a text cannot be encoded, an integer is too large, or a number is NaN.
    """
    if isinstance(value, str):
        if not value.isascii():
            _check_encodable(value)
        return len(value)
    if isinstance(value, int):
        _check_integer(value)
    elif isinstance(value, float) and value != value:
        raise LimitExceeded("an argument is not a number (NaN)")
    return 0


def _check_totals(characters: int, items: int) -> None:
    if characters > MAX_ARGUMENT_CHARACTERS or items > MAX_ARGUMENT_ITEMS:
        raise LimitExceeded(
            f"the arguments are too large; {MAX_ARGUMENT_CHARACTERS} characters and {MAX_ARGUMENT_ITEMS} values "
            "are allowed"
        )


def _check_encodable(text: str) -> None:
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        raise LimitExceeded("an argument contains half of a surrogate pair") from None


def _check_integer(value: int) -> None:
    if value.bit_length() > MAX_INTEGER_BITS:
        raise LimitExceeded(f"an integer has more than {MAX_INTEGER_BITS} bits")


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
