"""The JSON calls of Llama 3.1 and 3.2: bare objects ``{"name": …, "parameters": {…}}``.

A completion is an optional ``<think>…</think>`` and then either calls, with ``;`` or a line break between them, or text
without a call, which is the answer. ``<|python_tag|>`` may precede the calls, and an object may hold ``"type":
"function"``, because these models write both unasked.

A response that begins with ``{`` is read as calls. Text that holds a call but does not begin with it is a fault.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from typing_extensions import override

from envtune.chat.protocol.json_calls import call_objects, calls_of, has_call
from envtune.chat.protocol.response_protocol import (
    ResponseProtocol,
    nothing_follows,
    split_thought,
    start_behind_thought,
    thought_text,
)
from envtune.chat.protocol.strict_json import Violation, read_json_values
from envtune.task import ToolCall
from envtune.trajectory import Action, FinalAnswer, FormatFault, ToolCalls

_TAG = re.compile("</?think>")
_PYTHON_TAG = "<|python_tag|>"
_SHAPE = '{"name": "…", "parameters": {…}}'


class Llama3Json(ResponseProtocol):
    """Calls as bare JSON objects with ``parameters``, results in the role ``tool``."""

    brief = f"{_SHAPE} to call a tool, or your answer to the user"
    form = """To call a tool, respond with a JSON object and nothing else; write ; between several calls:
{"name": "tool", "parameters": {"parameter": "value"}}"""
    rule = (
        "A response is one or more tool calls with no text around them, or an answer without a call. Calls run in "
        "order and you then read their results."
    )
    is_native = True
    end_tokens = ("<|eom_id|>",)
    shown_tokens = (_PYTHON_TAG,)

    @override
    def start_of_calls(self, completion: str) -> int:
        return start_behind_thought(completion)

    @override
    def _read(self, completion: str) -> Action:
        thought, start = split_thought(completion)
        text = completion[start:].strip()
        body = text.removeprefix(_PYTHON_TAG).strip()
        if not body:
            raise nothing_follows()
        if body == text and not text.startswith("{"):
            if has_call(text):
                raise Violation(
                    FormatFault.TEXT_BESIDE_CALLS,
                    f"There is text around a tool call: respond with {_SHAPE} and nothing else.",
                )
            return FinalAnswer(thought, text)
        entries = read_json_values(body, "The tool call", _SHAPE)
        return ToolCalls(thought, calls_of(list(map(_without_type, entries)), _SHAPE, "parameters"))

    @override
    def _calls_text(self, thought: str, calls: Sequence[ToolCall]) -> str:
        return thought_text(thought) + "; ".join(call_objects(calls, _TAG, "parameters"))

    @override
    def _answer_text(self, thought: str, text: str) -> str:
        return thought_text(thought) + text


def _without_type(entry: Any) -> Any:
    if isinstance(entry, dict) and entry.get("type") == "function":
        return {key: value for key, value in entry.items() if key != "type"}
    return entry
