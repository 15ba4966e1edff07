"""The messages of a chat request -> records, checked to be a conversation that a completion can follow."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NoReturn

from envtune.serving.refusal import Refusal
from envtune.task import ToolCall

_ROLES = {"system": "system", "developer": "system", "user": "user", "assistant": "assistant", "tool": "tool"}
# Where servers put a model's thought beside the content: vLLM's and DeepSeek's name, and vLLM's newer one.
_THOUGHTS = ("reasoning_content", "reasoning")


@dataclass(frozen=True, slots=True)
class Message:
    """One message. Only an assistant's has a thought and calls, ``call_ids`` beside them; only a tool's is a
    ``result_of`` one of those ids."""

    role: str
    text: str = ""
    thought: str = ""
    calls: tuple[ToolCall, ...] = ()
    call_ids: tuple[str, ...] = ()
    result_of: str = ""


def read_messages(entries: Any, max_messages: int) -> tuple[Message, ...]:
    """The messages: system messages first, then the conversation, whose last message is a user's or a tool's.

    Raises:
        Refusal: an entry is malformed, of a kind that is not supported, or out of place.
    """
    if not isinstance(entries, list) or not entries:
        raise Refusal(400, "messages must be a list of at least one message", "messages")
    if len(entries) > max_messages:
        raise Refusal(413, f"there are {len(entries)} messages: at most {max_messages} are taken", "messages")
    messages = tuple(_message(entry, f"messages[{index}]") for index, entry in enumerate(entries))
    _check_order(messages)
    return messages


def _message(entry: Any, param: str) -> Message:
    if not isinstance(entry, dict):
        _refuse("is no object", param)
    role = _ROLES.get(entry["role"]) if isinstance(entry.get("role"), str) else None
    if role is None:
        _refuse(f"needs a role: one of {', '.join(_ROLES)}", f"{param}.role")
    text = _text(entry.get("content"), f"{param}.content", may_lack=role == "assistant")
    if role == "assistant":
        if entry.get("function_call") is not None:
            _refuse("is the old form of a call: use tool_calls", f"{param}.function_call")
        calls, ids = _calls(entry.get("tool_calls"), f"{param}.tool_calls")
        return Message(role, text, _thought(entry, param), calls, ids)
    if role == "tool":
        return Message(role, text, result_of=_string(entry.get("tool_call_id"), f"{param}.tool_call_id"))
    return Message(role, text)


def _text(content: Any, param: str, may_lack: bool) -> str:
    if content is None and may_lack:
        return ""
    if isinstance(content, str):
        return content
    if not isinstance(content, list):
        _refuse("must be a string, or a list of parts of text", param)
    for part in content:
        if not isinstance(part, dict) or part.get("type") != "text" or not isinstance(part.get("text"), str):
            _refuse('has a part that is no {"type": "text", "text": "…"}: only text is supported', param)
    return "".join(part["text"] for part in content)


def _thought(entry: Mapping[str, Any], param: str) -> str:
    for name in _THOUGHTS:
        if entry.get(name) is not None:
            return _string(entry[name], f"{param}.{name}")
    return ""


def _calls(entries: Any, param: str) -> tuple[tuple[ToolCall, ...], tuple[str, ...]]:
    """The calls and their ids."""
    if entries is None:
        return (), ()
    if not isinstance(entries, list):
        _refuse("must be a list of calls", param)
    read = [_call(entry, f"{param}[{index}]") for index, entry in enumerate(entries)]
    return tuple(call for call, _ in read), tuple(id_ for _, id_ in read)


def _call(entry: Any, param: str) -> tuple[ToolCall, str]:
    function = entry.get("function") if isinstance(entry, dict) else None
    if not isinstance(function, dict):
        _refuse('must be {"id": "…", "type": "function", "function": {"name": "…", "arguments": "{…}"}}', param)
    name = _string(function.get("name"), f"{param}.function.name")
    try:
        arguments = json.loads(_string(function.get("arguments"), f"{param}.function.arguments"))
    except ValueError:
        arguments = None
    if not isinstance(arguments, dict):
        _refuse("must be a string that holds a JSON object", f"{param}.function.arguments")
    return ToolCall(name, arguments), _string(entry.get("id"), f"{param}.id")


def _string(value: Any, param: str) -> str:
    if not isinstance(value, str):
        _refuse("must be a string", param)
    return value


def _check_order(messages: Sequence[Message]) -> None:
    begun, open_calls = False, tuple[str, ...]()
    for index, message in enumerate(messages):
        param = f"messages[{index}]"
        if message.role == "system" and begun:
            _refuse("is a system message: they are taken only before all others", param)
        begun = begun or message.role != "system"
        if message.role == "assistant":
            open_calls = message.call_ids
        if message.role == "tool" and message.result_of not in open_calls:
            _refuse("is the id of no call in the assistant's message before it", f"{param}.tool_call_id")
    if messages[-1].role not in ("user", "tool"):
        _refuse("is the last message: it must be a user's or a tool's, for the model answers it", param)


def _refuse(what: str, param: str) -> NoReturn:
    raise Refusal(400, f"{param} {what}", param)
