"""Calls as JSON objects, in the protocols that write them so: reading, writing, and recognising them in other text."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import Any

from envtune.chat.protocol.response_protocol import MAX_CALLS
from envtune.chat.protocol.strict_json import Violation, short
from envtune.task import ToolCall
from envtune.trajectory import FormatFault

# The beginning of a call, wherever it stands in a text.
_CALL = re.compile(r'\{\s*"name"\s*:\s*"[^"]*"\s*,\s*"(?:arguments|parameters)"\s*:')


def calls_of(entries: Sequence[Any], shape: str, arguments_key: str = "arguments") -> tuple[ToolCall, ...]:
    """Return the calls of JSON values.

    Args:
        entries: one value per call.
        shape: what the agent should write instead of a value that is not an object.
        arguments_key: the key of the arguments.

    Raises:
        Violation: there are too many, or a value is not ``{"name": …, "arguments": {…}}``.
    """
    if len(entries) > MAX_CALLS:
        raise Violation(
            FormatFault.TOO_MANY_CALLS, f"There are {len(entries)} calls in one response: make at most {MAX_CALLS}."
        )
    return tuple(_call(entry, number, shape, arguments_key) for number, entry in enumerate(entries, start=1))


def call_objects(calls: Sequence[ToolCall], tags: re.Pattern[str], arguments_key: str = "arguments") -> list[str]:
    """Return calls as JSON objects; the first character of ``tags`` in their strings is escaped.

    Raises:
        ValueError: an argument has no JSON text, such as NaN.
    """
    entries = [{"name": call.name, arguments_key: call.arguments} for call in calls]
    texts = (json.dumps(entry, ensure_ascii=False, allow_nan=False) for entry in entries)
    return [tags.sub(lambda tag: "\\u003c" + tag[0][1:], text) for text in texts]


def has_call(text: str) -> bool:
    """Return True if a text contains the beginning of a call as a JSON object."""
    return _CALL.search(text) is not None


def _call(entry: Any, number: int, shape: str, arguments_key: str) -> ToolCall:
    if not isinstance(entry, dict):
        raise Violation(FormatFault.CALL_NOT_AN_OBJECT, f"Call {number} is not a JSON object: write {shape}.")
    name, arguments = entry.get("name"), entry.get(arguments_key)
    if not isinstance(name, str) or not name:
        raise Violation(FormatFault.CALL_WITHOUT_NAME, f'Call {number} needs the tool\'s name as a string in "name".')
    if not isinstance(arguments, dict):
        raise Violation(
            FormatFault.CALL_WITHOUT_ARGUMENTS,
            f'Call {number} needs its arguments as a JSON object in "{arguments_key}" ({{}} if there are none).',
        )
    unknown = sorted(set(entry) - {"name", arguments_key})
    if unknown:
        raise Violation(
            FormatFault.CALL_WITH_UNKNOWN_KEY,
            f'Call {number} has the unknown key "{short(unknown[0])}": only "name" and "{arguments_key}" are allowed.',
        )
    return ToolCall(name, arguments)
