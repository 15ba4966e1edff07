"""The response protocol: parses completions into actions and renders actions as completions.

A completion is ``<think>…</think>`` and then either ``<tool_call>[{"name": …, "arguments": {…}}, …]</tool_call>`` or
``<answer>…</answer>`` (paper, section 3.1), with only white space outside the tags and each tag once.

A tag counts wherever its literal text occurs, even inside a thought, an answer or a JSON string, so tags are found
without parsing JSON. A JSON string may write ``\\u003c`` for ``<``, as ``render_calls`` does; thoughts and answers
cannot contain tags. Thoughts and answers are stripped of surrounding white space and may be empty.

JSON is strict: no NaN or Infinity, no number beyond a double's range, no duplicate keys, no unpaired surrogates,
bounded depth. A response's length and its number of calls are bounded. The environment, not the protocol, validates
tool names and arguments.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Sequence
from math import isfinite
from typing import Any

from envtune.task import ToolCall
from envtune.trajectory import Action, FinalAnswer, FormatError, FormatFault, ToolCalls

# The environment's limits on time and memory (envtune/environment/limits/) assume these two.
MAX_CHARACTERS = 200_000
MAX_CALLS = 50
MAX_DEPTH = 20
MAX_DIGITS = 300

_TAG = re.compile(r"</?(?:think|tool_call|answer)>")
# One bracket, or a string; an unclosed string also matches, which keeps the scan linear.
_STRING_OR_BRACKET = re.compile(r'"[^"\\]*(?:\\.[^"\\]*)*"?|[\[\]{}]', re.DOTALL)
_TAGS_OF = {kind: ["<think>", "</think>", f"<{kind}>", f"</{kind}>"] for kind in ("tool_call", "answer")}
_SURROGATE = re.compile("[\ud800-\udfff]")
_SHAPE = '[{"name": "…", "arguments": {…}}]'


class _Violation(Exception):
    """A format error on its way to ``parse``."""

    def __init__(self, fault: FormatFault, message: str) -> None:
        self.error = FormatError(fault, message)


def parse(completion: str) -> Action:
    """Return the action of a completion, or its first format error. Never raises."""
    try:
        thought, kind, body = _split(completion)
        if kind == "answer":
            return FinalAnswer(thought, body)
        return ToolCalls(thought, _calls(body))
    except _Violation as violation:
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


# Names by which a protocol's writers are called.
write_calls, write_answer = render_calls, render_answer


def _checked(completion: str) -> str:
    action = parse(completion)
    if isinstance(action, FormatError):
        raise ValueError(f"the response protocol cannot express this ({action.fault}): {action.message}")
    return completion


def _split(completion: str) -> tuple[str, str, str]:
    """Return thought, kind of action ("tool_call" or "answer") and the text between the action's tags."""
    if len(completion) > MAX_CHARACTERS:
        raise _Violation(
            FormatFault.TOO_LONG, f"Your response is longer than {MAX_CHARACTERS} characters: answer much more briefly."
        )
    if not completion.strip():
        raise _Violation(
            FormatFault.EMPTY,
            "Your response is empty: write <think>…</think> and then <tool_call>…</tool_call> or <answer>…</answer>.",
        )
    if _SURROGATE.search(completion):
        raise _Violation(
            FormatFault.INVALID_TEXT, "Your response contains half of a surrogate pair: write plain characters only."
        )
    tags = list(_TAG.finditer(completion))
    kind = _check_tags([tag[0] for tag in tags])
    outside = (completion[: tags[0].start()], completion[tags[1].end() : tags[2].start()], completion[tags[3].end() :])
    if any(text.strip() for text in outside):
        raise _Violation(
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
        raise _Violation(
            FormatFault.NO_THINK, "The response has no <think>…</think>: begin with it, then act or answer."
        )
    kinds = [kind for kind in ("tool_call", "answer") if f"<{kind}>" in counts or f"</{kind}>" in counts]
    if len(kinds) == 2:
        raise _Violation(
            FormatFault.BOTH_ACTIONS,
            "There are both <tool_call> and <answer>: give only one of them, and answer after the results are in.",
        )
    for tag, count in counts.items():
        if count > 1:
            raise _Violation(FormatFault.REPEATED_TAG, f"The tag {tag} stands {count} times: write each tag only once.")
    for name in ("think", *kinds):
        if f"</{name}>" not in counts:
            raise _Violation(FormatFault.UNCLOSED_TAG, f"<{name}> is never closed: end it with </{name}>.")
        if f"<{name}>" not in counts:
            raise _Violation(FormatFault.UNOPENED_TAG, f"</{name}> was never opened: put <{name}> before it.")
    if not kinds:
        raise _Violation(
            FormatFault.NO_ACTION,
            "Nothing follows your thought: after </think> write <tool_call>…</tool_call> or <answer>…</answer>.",
        )
    order = " … ".join(_TAGS_OF[kinds[0]])
    raise _Violation(FormatFault.WRONG_ORDER, f"The tags are in the wrong order: write {order}.")


def _calls(body: str) -> tuple[ToolCall, ...]:
    if not body:
        raise _Violation(FormatFault.NO_CALLS, f"The tool call is empty: write {_SHAPE}, or answer instead.")
    entries = _strict_json(body)
    if not isinstance(entries, list):
        raise _Violation(FormatFault.NOT_A_CALL_LIST, f"One call, too, must stand in a JSON list: write {_SHAPE}.")
    if not entries:
        raise _Violation(FormatFault.NO_CALLS, f"The list of calls is empty: write {_SHAPE}, or answer instead.")
    if len(entries) > MAX_CALLS:
        raise _Violation(
            FormatFault.TOO_MANY_CALLS, f"There are {len(entries)} calls in one response: make at most {MAX_CALLS}."
        )
    return tuple(_call(entry, number) for number, entry in enumerate(entries, start=1))


def _call(entry: Any, number: int) -> ToolCall:
    if not isinstance(entry, dict):
        raise _Violation(FormatFault.CALL_NOT_AN_OBJECT, f"Call {number} is not a JSON object: write {_SHAPE}.")
    name, arguments = entry.get("name"), entry.get("arguments")
    if not isinstance(name, str) or not name:
        raise _Violation(FormatFault.CALL_WITHOUT_NAME, f'Call {number} needs the tool\'s name as a string in "name".')
    if not isinstance(arguments, dict):
        raise _Violation(
            FormatFault.CALL_WITHOUT_ARGUMENTS,
            f'Call {number} needs its arguments as a JSON object in "arguments" ({{}} if there are none).',
        )
    unknown = sorted(set(entry) - {"name", "arguments"})
    if unknown:
        raise _Violation(
            FormatFault.CALL_WITH_UNKNOWN_KEY,
            f'Call {number} has the unknown key "{_short(unknown[0])}": only "name" and "arguments" are allowed.',
        )
    return ToolCall(name, arguments)


def _strict_json(text: str) -> Any:
    _check_depth(text)
    try:
        value = json.loads(
            text, parse_int=_integer, parse_float=_real, parse_constant=_constant, object_pairs_hook=_object
        )
    except json.JSONDecodeError as error:
        raise _Violation(
            FormatFault.INVALID_JSON,
            f"The text inside <tool_call> is not valid JSON ({error.msg} at character {error.pos}): write {_SHAPE}.",
        ) from None
    if "\\u" in text and _SURROGATE.search(json.dumps(value, ensure_ascii=False)):
        raise _Violation(
            FormatFault.INVALID_TEXT, "A JSON string contains half of a surrogate pair: write the character itself."
        )
    return value


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
            raise _Violation(
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


def _number_too_large() -> _Violation:
    return _Violation(FormatFault.INVALID_NUMBER, f"A number is too large: use at most {MAX_DIGITS} digits.")


def _constant(literal: str) -> float:
    raise _Violation(FormatFault.INVALID_NUMBER, f"{literal} is not a JSON number: write an ordinary number.")


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) < len(pairs):
        key = next(key for key, count in Counter(key for key, _ in pairs).items() if count > 1)
        raise _Violation(
            FormatFault.DUPLICATE_KEY, f'The key "{_short(key)}" stands twice in one JSON object: write each key once.'
        )
    return value


def _short(text: str) -> str:
    """Return a one-line, encodable quotation of the agent's text."""
    return json.dumps(text[:40])[1:-1]
