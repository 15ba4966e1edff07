"""Strict JSON for calls.

No NaN or Infinity, no number beyond a double's range, no duplicate keys, no unpaired surrogates, bounded depth. A
violation is a format error of the response that contains the JSON.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from math import isfinite
from typing import Any

from envtune.trajectory import FormatError, FormatFault

MAX_DEPTH = 20
MAX_DIGITS = 300

SURROGATE = re.compile("[\ud800-\udfff]")
# Between JSON texts, and after the last one.
_GAP = re.compile(r"\s*;\s*|[ \t\r]*\n\s*|\s*$")
# One bracket, or a string; an unclosed string also matches, which keeps the scan linear.
_STRING_OR_BRACKET = re.compile(r'"[^"\\]*(?:\\.[^"\\]*)*"?|[\[\]{}]', re.DOTALL)


class Violation(Exception):
    """A format error on its way to the protocol's ``parse``."""

    def __init__(self, fault: FormatFault, message: str) -> None:
        self.error = FormatError(fault, message)


def read_json(text: str, place: str, shape: str) -> Any:
    """Return the value of a JSON text.

    Args:
        text: the JSON text, without white space around it.
        place: what the error message calls the text.
        shape: what the agent should write instead.

    Raises:
        Violation: the text is not strict JSON.
    """
    _check_depth(text)
    try:
        value = json.loads(text, **_HOOKS)
    except json.JSONDecodeError as error:
        raise _invalid(error, place, shape) from None
    _check_strings(text, value)
    return value


def read_json_values(text: str, place: str, shape: str) -> list[Any]:
    """Return the values of JSON texts with ``;`` or a line break between them.

    Args:
        text: one or more JSON texts, without white space around them.
        place: what the error message calls the text.
        shape: what the agent should write instead.

    Raises:
        Violation: a text is not strict JSON, or something else stands between or after them.
    """
    _check_depth(text)
    values, start = [], 0
    while start < len(text):
        try:
            value, end = _DECODER.raw_decode(text, start)
        except json.JSONDecodeError as error:
            raise _invalid(error, place, shape) from None
        gap = _GAP.match(text, end)
        if gap is None:
            raise Violation(
                FormatFault.TEXT_BESIDE_CALLS,
                f"There is other text after a call: write only calls, with ; between them, such as {shape}.",
            )
        values.append(value)
        start = gap.end()
    _check_strings(text, values)
    return values


def short(text: str) -> str:
    """Return a one-line, encodable quotation of the agent's text."""
    return json.dumps(text[:40])[1:-1]


def _invalid(error: json.JSONDecodeError, place: str, shape: str) -> Violation:
    return Violation(
        FormatFault.INVALID_JSON, f"{place} is not valid JSON ({error.msg} at character {error.pos}): write {shape}."
    )


def _check_strings(text: str, value: Any) -> None:
    if "\\u" in text and SURROGATE.search(json.dumps(value, ensure_ascii=False)):
        raise Violation(
            FormatFault.INVALID_TEXT, "A JSON string contains half of a surrogate pair: write the character itself."
        )


def _check_depth(text: str) -> None:
    """Limit the depth before the JSON parser runs, whose only limit is the interpreter's recursion limit."""
    if text.count("[") + text.count("{") <= MAX_DEPTH:
        return
    depth = 0
    for token in _STRING_OR_BRACKET.finditer(text):
        if token[0] in ("[", "{"):
            depth += 1
        elif token[0] in ("]", "}"):
            depth -= 1
        if depth > MAX_DEPTH:
            raise Violation(
                FormatFault.NESTED_TOO_DEEP, f"The JSON is more than {MAX_DEPTH} levels deep: use flat arguments."
            )


def _integer(literal: str) -> int:
    # For more than 4300 digits, int() raises an error of its own.
    if len(literal.lstrip("-")) > MAX_DIGITS:
        raise _number_too_large()
    return int(literal)


def _real(literal: str) -> float:
    value = float(literal)
    if not isfinite(value):
        raise _number_too_large()
    return value


def _number_too_large() -> Violation:
    return Violation(FormatFault.INVALID_NUMBER, f"A number is too large: use at most {MAX_DIGITS} digits.")


def _constant(literal: str) -> float:
    raise Violation(FormatFault.INVALID_NUMBER, f"{literal} is not a JSON number: write an ordinary number.")


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) < len(pairs):
        key = next(key for key, count in Counter(key for key, _ in pairs).items() if count > 1)
        raise Violation(
            FormatFault.DUPLICATE_KEY, f'The key "{short(key)}" stands twice in one JSON object: write each key once.'
        )
    return value


_HOOKS: dict[str, Any] = {
    "parse_int": _integer,
    "parse_float": _real,
    "parse_constant": _constant,
    "object_pairs_hook": _object,
}
_DECODER = json.JSONDecoder(**_HOOKS)
