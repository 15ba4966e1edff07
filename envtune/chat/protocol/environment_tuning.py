"""The response protocol: parses completions into actions and renders actions as completions.

A completion is ``<think>…</think>`` and then either ``<tool_call>[{"name": …, "arguments": {…}}, …]</tool_call>`` or
``<answer>…</answer>`` (paper, section 3.1), with only white space outside the tags and each tag once.

A tag counts wherever its literal text occurs, even inside a thought, an answer or a JSON string, so tags are found
without parsing JSON. A JSON string may write ``\\u003c`` for ``<``, as ``render_calls`` does; thoughts and answers
cannot contain tags. Thoughts and answers are stripped of surrounding white space and may be empty.

A response's length and its number of calls are bounded. The environment, not the protocol, validates tool names and
arguments.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Sequence
from typing import Any

from envtune.chat.protocol.strict_json import SURROGATE, Violation, read_json, short
from envtune.task import ToolCall
from envtune.trajectory import Action, FinalAnswer, FormatError, FormatFault, ToolCalls

# The environment's limits on time and memory (envtune/environment/limits/) assume these two.
MAX_CHARACTERS = 200_000
MAX_CALLS = 50

_TAG = re.compile(r"</?(?:think|tool_call|answer)>")
_TAGS_OF = {kind: ["<think>", "</think>", f"<{kind}>", f"</{kind}>"] for kind in ("tool_call", "answer")}
_SHAPE = '[{"name": "…", "arguments": {…}}]'


def parse(completion: str) -> Action:
    """Return the action of a completion, or its first format error. Never raises."""
    try:
        thought, kind, body = _split(completion)
        if kind == "answer":
            return FinalAnswer(thought, body)
        return ToolCalls(thought, _calls(body))
    except Violation as violation:
        return violation.error


def start_of_calls(completion: str) -> int:
    """Return the place in a completion, which ``parse`` reads as calls, of the tag before them."""
    return completion.index("<tool_call>")


def render_calls(thought: str, calls: Sequence[ToolCall]) -> str:
    """Return the completion that ``parse`` reads as these calls.

    Raises:
        ValueError: the protocol cannot express them (no calls, a tag in the thought, NaN, too deep, …).
    """
    entries = [{"name": call.name, "arguments": call.arguments} for call in calls]
    body = _TAG.sub(lambda tag: "\\u003c" + tag[0][1:], json.dumps(entries, ensure_ascii=False, allow_nan=False))
    return _checked(f"<think>{thought.strip()}</think>\n<tool_call>{body}</tool_call>")


def render_answer(thought: str, text: str) -> str:
    """Return the completion that ``parse`` reads as this answer.

    Raises:
        ValueError: the protocol cannot express it (a tag in either text, an unpaired surrogate, too long).
    """
    return _checked(f"<think>{thought.strip()}</think>\n<answer>{text.strip()}</answer>")


def _checked(completion: str) -> str:
    action = parse(completion)
    if isinstance(action, FormatError):
        raise ValueError(f"the response protocol cannot express this ({action.fault}): {action.message}")
    return completion


def _split(completion: str) -> tuple[str, str, str]:
    """Return thought, kind of action ("tool_call" or "answer") and the text between the action's tags."""
    if len(completion) > MAX_CHARACTERS:
        raise Violation(
            FormatFault.TOO_LONG, f"Your response is longer than {MAX_CHARACTERS} characters: answer much more briefly."
        )
    if not completion.strip():
        raise Violation(
            FormatFault.EMPTY,
            "Your response is empty: write <think>…</think> and then <tool_call>…</tool_call> or <answer>…</answer>.",
        )
    if SURROGATE.search(completion):
        raise Violation(
            FormatFault.INVALID_TEXT, "Your response contains half of a surrogate pair: write plain characters only."
        )
    tags = list(_TAG.finditer(completion))
    kind = _check_tags([tag[0] for tag in tags])
    outside = (completion[: tags[0].start()], completion[tags[1].end() : tags[2].start()], completion[tags[3].end() :])
    if any(text.strip() for text in outside):
        raise Violation(
            FormatFault.TEXT_OUTSIDE_TAGS,
            "There is text outside the tags: put your reasoning inside <think>…</think> and everything else inside the "
            "one tag that follows it.",
        )
    thought, body = completion[tags[0].end() : tags[1].start()], completion[tags[2].end() : tags[3].start()]
    return thought.strip(), kind, body.strip()


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
    if len(entries) > MAX_CALLS:
        raise Violation(
            FormatFault.TOO_MANY_CALLS, f"There are {len(entries)} calls in one response: make at most {MAX_CALLS}."
        )
    return tuple(_call(entry, number) for number, entry in enumerate(entries, start=1))


def _call(entry: Any, number: int) -> ToolCall:
    if not isinstance(entry, dict):
        raise Violation(FormatFault.CALL_NOT_AN_OBJECT, f"Call {number} is not a JSON object: write {_SHAPE}.")
    name, arguments = entry.get("name"), entry.get("arguments")
    if not isinstance(name, str) or not name:
        raise Violation(FormatFault.CALL_WITHOUT_NAME, f'Call {number} needs the tool\'s name as a string in "name".')
    if not isinstance(arguments, dict):
        raise Violation(
            FormatFault.CALL_WITHOUT_ARGUMENTS,
            f'Call {number} needs its arguments as a JSON object in "arguments" ({{}} if there are none).',
        )
    unknown = sorted(set(entry) - {"name", "arguments"})
    if unknown:
        raise Violation(
            FormatFault.CALL_WITH_UNKNOWN_KEY,
            f'Call {number} has the unknown key "{short(unknown[0])}": only "name" and "arguments" are allowed.',
        )
    return ToolCall(name, arguments)
