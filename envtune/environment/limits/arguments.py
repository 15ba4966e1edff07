"""Bounds on the arguments of one call, judged before it runs."""

from __future__ import annotations

from typing import Any

from envtune.environment.limits.exceeded import LimitExceeded
from envtune.task import ToolCall

MAX_ARGUMENT_CHARACTERS = 50_000
MAX_ARGUMENT_ITEMS = 5_000
MAX_ARGUMENT_DEPTH = 20
MAX_INTEGER_BITS = 4_096
MAX_POWER_BITS = 14_000
MAX_PRECISION_DIGITS = 1_000
MAX_FILE_NAME_CHARACTERS = 255

FILE_NAMES = {"cp": ("destination",), "mv": ("destination",), "mkdir": ("dir_name",), "touch": ("file_name",)}
PRECISIONS = {"logarithm": "precision", "square_root": "precision", "round_number": "decimal_places"}


def check_arguments(call: ToolCall) -> None:
    """Refuses arguments whose cost is out of proportion.

    Raises:
        LimitExceeded: too long, too deep, too many, not a number, not encodable, or beyond a tool's own bound.
    """
    _check_size(call)
    for name in FILE_NAMES.get(call.name, ()):
        value = call.arguments.get(name)
        if isinstance(value, str) and len(value) > MAX_FILE_NAME_CHARACTERS:
            raise LimitExceeded(f"'{name}' has {len(value)} characters; a name has {MAX_FILE_NAME_CHARACTERS} at most")
    if call.name == "power":
        _check_power(call.arguments.get("base"), call.arguments.get("exponent"))
    if call.name in PRECISIONS:
        digits = call.arguments.get(PRECISIONS[call.name])
        if _magnitude(digits) > MAX_PRECISION_DIGITS:
            raise LimitExceeded(f"'{PRECISIONS[call.name]}' is beyond {MAX_PRECISION_DIGITS} digits")


def _check_size(call: ToolCall) -> None:
    characters = items = 0
    waiting: list[tuple[Any, int]] = [(dict(call.arguments), 0)]
    while waiting:
        value, depth = waiting.pop()
        items += 1
        if isinstance(value, str):
            characters += len(value)
            if not value.isascii():
                _check_encodable(value)
        elif isinstance(value, int):
            _check_integer(value)
        elif value != value:
            raise LimitExceeded("an argument is not a number (NaN)")
        elif isinstance(value, dict):
            waiting.extend((part, depth + 1) for pair in value.items() for part in pair)
        elif isinstance(value, list | tuple | set):
            waiting.extend((part, depth + 1) for part in value)
        if depth > MAX_ARGUMENT_DEPTH:
            raise LimitExceeded(f"the arguments are nested deeper than {MAX_ARGUMENT_DEPTH} levels")
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
    """Of a number, or of text that reads as one; 0.0 for anything else, which the tool itself refuses."""
    try:
        return abs(float(value))
    except OverflowError:
        return float("inf")
    except (TypeError, ValueError):
        return 0.0
