"""A format for models without one of their own: the whole response is a JSON list of calls, or else it is the answer.

A completion is an optional ``<think>…</think>`` and then either ``[{"name": …, "arguments": {…}}, …]``, which may stand
in one code fence, or text without a call, which is the answer. Documents of tools are in the system message, and
results are user messages, so that every chat template will do.

A response that begins with ``{``, or with a list of objects, is read as calls. Text that holds a call but does not
begin with it is a fault.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from typing_extensions import override

from envtune.chat.protocol.json_calls import call_objects, calls_of, has_call
from envtune.chat.protocol.response_protocol import (
    ResponseProtocol,
    nothing_follows,
    split_thought,
    start_behind_thought,
    thought_text,
)
from envtune.chat.protocol.strict_json import Violation, read_json
from envtune.task import ToolCall
from envtune.trajectory import Action, FinalAnswer, FormatFault, ToolCalls

_TAG = re.compile("</?think>")
_FENCE = "```"
_FENCED = re.compile(r"```(?:json)?\s*(?=[\[{])")
_BEGINS = re.compile(r"\[[\s\[]*[{\]]|\{")
_SHAPE = '[{"name": "…", "arguments": {…}}]'


class PlainJson(ResponseProtocol):
    """Calls as one JSON list, results in user messages."""

    brief = f"{_SHAPE} to call tools, or your answer to the user"
    form = """To call tools, respond with a JSON list of calls and nothing else; a thought may come first:
<think>your reasoning</think>
[{"name": "tool", "arguments": {"parameter": "value"}}]"""
    rule = (
        "A response is a list of one or more calls with no text around it, or an answer without a call. Calls run in "
        "order and you then read their results."
    )

    @override
    def start_of_calls(self, completion: str) -> int:
        return start_behind_thought(completion)

    @override
    def _read(self, completion: str) -> Action:
        thought, start = split_thought(completion)
        text = completion[start:].strip()
        if not text:
            raise nothing_follows()
        body = _unfenced(text)
        if not _BEGINS.match(body):
            if has_call(text):
                raise Violation(
                    FormatFault.TEXT_BESIDE_CALLS,
                    f"There is text around the tool calls: respond with {_SHAPE} and nothing else.",
                )
            return FinalAnswer(thought, text)
        entries = read_json(body, "The list of calls", _SHAPE)
        if not isinstance(entries, list):
            raise Violation(FormatFault.NOT_A_CALL_LIST, f"One call, too, must stand in a JSON list: write {_SHAPE}.")
        if not entries:
            raise Violation(FormatFault.NO_CALLS, f"The list of calls is empty: write {_SHAPE}, or answer instead.")
        return ToolCalls(thought, calls_of(entries, _SHAPE))

    @override
    def _calls_text(self, thought: str, calls: Sequence[ToolCall]) -> str:
        return f"{thought_text(thought)}[{', '.join(call_objects(calls, _TAG))}]"

    @override
    def _answer_text(self, thought: str, text: str) -> str:
        return thought_text(thought) + text


def _unfenced(text: str) -> str:
    """Return the text inside a code fence that begins with JSON; any other text as it is."""
    fence = _FENCED.match(text)
    if fence is None:
        return text
    if not text.endswith(_FENCE) or len(text) < fence.end() + len(_FENCE):
        raise Violation(FormatFault.UNCLOSED_TAG, f"The code fence is never closed: end it with {_FENCE}.")
    return text[fence.end() : -len(_FENCE)].strip()
