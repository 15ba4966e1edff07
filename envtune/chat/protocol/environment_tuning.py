"""The paper's protocol: tags around a thought and a list of calls, or around a thought and an answer.

A completion is ``<think>…</think>`` and then either ``<tool_call>[{"name": …, "arguments": {…}}, …]</tool_call>`` or
``<answer>…</answer>`` (paper, section 3.1), with only white space outside the tags and each tag once.

A tag counts wherever its literal text occurs, even inside a thought, an answer or a JSON string, so tags are found
without parsing JSON. A JSON string may write ``\\u003c`` for ``<``, as ``write_calls`` does; thoughts and answers
cannot contain tags. Thoughts and answers are stripped of surrounding white space and may be empty.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence

from typing_extensions import override

from envtune.chat.protocol.json_calls import call_objects, calls_of
from envtune.chat.protocol.response_protocol import ResponseProtocol
from envtune.chat.protocol.strict_json import Violation, read_json
from envtune.task import ToolCall
from envtune.trajectory import Action, FinalAnswer, FormatFault, ToolCalls

_TAG = re.compile(r"</?(?:think|tool_call|answer)>")
_TAGS_OF = {kind: ["<think>", "</think>", f"<{kind}>", f"</{kind}>"] for kind in ("tool_call", "answer")}
_SHAPE = '[{"name": "…", "arguments": {…}}]'


class EnvironmentTuning(ResponseProtocol):
    """The paper's protocol."""

    brief = "<think>…</think> and then <tool_call>…</tool_call> or <answer>…</answer>"
    form = """Every response has exactly one of these two forms, with nothing outside the tags and each tag once:
<think>your reasoning</think><tool_call>[{"name": "tool", "arguments": {"parameter": "value"}}]</tool_call>
<think>your reasoning</think><answer>your words to the user</answer>"""
    rule = "A tool call is a JSON list of one or more calls. They run in order and you then read their results."

    @override
    def start_of_calls(self, completion: str) -> int:
        return completion.index("<tool_call>")

    @override
    def _read(self, completion: str) -> Action:
        tags = list(_TAG.finditer(completion))
        kind = _check_tags([tag[0] for tag in tags])
        gap = completion[tags[1].end() : tags[2].start()]
        outside = (completion[: tags[0].start()], gap, completion[tags[3].end() :])
        if any(text.strip() for text in outside):
            raise Violation(
                FormatFault.TEXT_OUTSIDE_TAGS,
                "There is text outside the tags: put your reasoning inside <think>…</think> and everything else inside "
                "the one tag that follows it.",
            )
        thought = completion[tags[0].end() : tags[1].start()].strip()
        body = completion[tags[2].end() : tags[3].start()].strip()
        return FinalAnswer(thought, body) if kind == "answer" else ToolCalls(thought, _calls(body))

    @override
    def _calls_text(self, thought: str, calls: Sequence[ToolCall]) -> str:
        return f"<think>{thought}</think>\n<tool_call>[{', '.join(call_objects(calls, _TAG))}]</tool_call>"

    @override
    def _answer_text(self, thought: str, text: str) -> str:
        return f"<think>{thought}</think>\n<answer>{text}</answer>"


def _check_tags(tags: list[str]) -> str:
    """Return the kind of action if ``tags`` are those of a well-formed completion, in order."""
    for kind, expected in _TAGS_OF.items():
        if tags == expected:
            return kind
    counts = Counter(tags)
    if "<think>" not in counts and "</think>" not in counts:
        raise Violation(
            FormatFault.NO_THINK, "The response has no <think>…</think>: begin with it, then act or answer."
        )
    kinds = [kind for kind in ("tool_call", "answer") if f"<{kind}>" in counts or f"</{kind}>" in counts]
    if len(kinds) == 2:
        raise Violation(
            FormatFault.BOTH_ACTIONS,
            "There are both <tool_call> and <answer>: give only one of them, and answer after the results are in.",
        )
    for tag, count in counts.items():
        if count > 1:
            raise Violation(FormatFault.REPEATED_TAG, f"The tag {tag} stands {count} times: write each tag only once.")
    for name in ("think", *kinds):
        if f"</{name}>" not in counts:
            raise Violation(FormatFault.UNCLOSED_TAG, f"<{name}> is never closed: end it with </{name}>.")
        if f"<{name}>" not in counts:
            raise Violation(FormatFault.UNOPENED_TAG, f"</{name}> was never opened: put <{name}> before it.")
    if not kinds:
        raise Violation(
            FormatFault.NO_ACTION,
            "Nothing follows your thought: after </think> write <tool_call>…</tool_call> or <answer>…</answer>.",
        )
    order = " … ".join(_TAGS_OF[kinds[0]])
    raise Violation(FormatFault.WRONG_ORDER, f"The tags are in the wrong order: write {order}.")


def _calls(body: str) -> tuple[ToolCall, ...]:
    if not body:
        raise Violation(FormatFault.NO_CALLS, f"The tool call is empty: write {_SHAPE}, or answer instead.")
    entries = read_json(body, "The text inside <tool_call>", _SHAPE)
    if not isinstance(entries, list):
        raise Violation(FormatFault.NOT_A_CALL_LIST, f"One call, too, must stand in a JSON list: write {_SHAPE}.")
    if not entries:
        raise Violation(FormatFault.NO_CALLS, f"The list of calls is empty: write {_SHAPE}, or answer instead.")
    return calls_of(entries, _SHAPE)
