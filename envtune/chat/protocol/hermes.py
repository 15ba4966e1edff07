"""The format of Hermes, which Qwen2.5 and Qwen3 were trained on: one JSON object per ``<tool_call>``.

A completion is an optional ``<think>…</think>`` and then either one or more ``<tool_call>{"name": …, "arguments":
{…}}</tool_call>``, or text without a call, which is the answer. Text before the first call belongs to the thought, as
models without a thought of their own write it; nothing stands between or after the calls.

A tag counts wherever its literal text occurs, even inside a JSON string, which may write ``\\u003c`` for ``<``. Text
that holds a call as a JSON object without tags is a fault, not an answer.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from typing_extensions import override

from envtune.chat.protocol.json_calls import call_objects, calls_of, has_call
from envtune.chat.protocol.response_protocol import ResponseProtocol, nothing_follows, split_thought
from envtune.chat.protocol.strict_json import Violation, read_json
from envtune.task import ToolCall
from envtune.trajectory import Action, FinalAnswer, FormatFault, ToolCalls

_OPEN, _CLOSE = "<tool_call>", "</tool_call>"
_TAG = re.compile("</?(?:think|tool_call)>")
_CALL_TAG = re.compile("</?tool_call>")
_SHAPE = '<tool_call>{"name": "…", "arguments": {…}}</tool_call>'


class Hermes(ResponseProtocol):
    """Calls in ``<tool_call>`` tags, results in the role ``tool``."""

    brief = f"{_SHAPE} to call a tool, or your answer to the user"
    form = """To call tools, write one JSON object per call, each inside its own tags; a thought may come first:
<think>your reasoning</think>
<tool_call>
{"name": "tool", "arguments": {"parameter": "value"}}
</tool_call>"""
    rule = (
        "A response is one or more tool calls with nothing behind them, or an answer without a call. Calls run in "
        "order and you then read their results."
    )
    is_native = True

    @override
    def start_of_calls(self, completion: str) -> int:
        return completion.index(_OPEN)

    @override
    def _read(self, completion: str) -> Action:
        thought, start = split_thought(completion)
        text = completion[start:]
        tags = list(_CALL_TAG.finditer(text))
        if not tags:
            return FinalAnswer(thought, _answer(text))
        for number, tag in enumerate(tags):
            if number % 2 == 0 and tag[0] == _CLOSE:
                raise Violation(FormatFault.UNOPENED_TAG, f"{_CLOSE} was never opened: put {_OPEN} before it.")
            if (number % 2 == 1 and tag[0] == _OPEN) or (tag[0] == _OPEN and tag is tags[-1]):
                raise Violation(FormatFault.UNCLOSED_TAG, f"{_OPEN} is never closed: end it with {_CLOSE}.")
        pairs = list(zip(tags[::2], tags[1::2], strict=True))
        ends = [opening.start() for opening, _ in pairs[1:]] + [len(text)]
        if any(text[closing.end() : end].strip() for (_, closing), end in zip(pairs, ends, strict=True)):
            raise Violation(
                FormatFault.TEXT_BESIDE_CALLS,
                "There is text between or after the tool calls: write your reasoning before them, and answer after the "
                "results are in.",
            )
        entries = [_entry(text[opening.end() : closing.start()].strip()) for opening, closing in pairs]
        spoken = text[: tags[0].start()].strip()
        return ToolCalls("\n\n".join(filter(None, (thought, spoken))), calls_of(entries, _SHAPE))

    @override
    def _calls_text(self, thought: str, calls: Sequence[ToolCall]) -> str:
        return _thought_text(thought) + "\n".join(f"{_OPEN}\n{entry}\n{_CLOSE}" for entry in call_objects(calls, _TAG))

    @override
    def _answer_text(self, thought: str, text: str) -> str:
        return _thought_text(thought) + text


def _entry(body: str) -> object:
    if not body:
        raise Violation(FormatFault.NO_CALLS, f"A tool call is empty: write {_SHAPE}, or answer instead.")
    return read_json(body, f"The text inside {_OPEN}", _SHAPE)


def _answer(text: str) -> str:
    if not text.strip():
        raise nothing_follows()
    if has_call(text):
        raise Violation(FormatFault.CALL_OUTSIDE_TAGS, f"There is a call outside of {_OPEN}: write {_SHAPE}.")
    return text.strip()


def _thought_text(thought: str) -> str:
    return f"<think>\n{thought}\n</think>\n\n" if thought else ""
