"""The messages of a chat: parses and validates those of a request, and converts a completion to the reply."""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from envtune.call_text import render_call_list
from envtune.chat.protocol import PAPERS
from envtune.chat.protocol.response_protocol import ResponseProtocol
from envtune.serving.refusal import Refusal, refuse
from envtune.task import ToolCall
from envtune.trajectory import FinalAnswer, ToolCalls

_ROLES = {"system": "system", "developer": "system", "user": "user", "assistant": "assistant", "tool": "tool"}
# Fields for a model's thought: that of vLLM and DeepSeek, and vLLM's newer one.
_THOUGHTS = ("reasoning_content", "reasoning")


@dataclass(frozen=True, slots=True)
class Message:
    """A message of the system, the user, the assistant or a tool."""

    role: str
    text: str = ""
    thought: str = ""
    """Only of the assistant."""
    calls: tuple[ToolCall, ...] = ()
    """Only of the assistant."""
    call_ids: tuple[str, ...] = ()
    """One id per call."""
    result_of: str = ""
    """Only of a tool: the id of its call."""


def read_messages(entries: Any, max_messages: int) -> tuple[Message, ...]:
    """Return the messages: system messages first, a message of the user or of a tool last.

    Raises:
        Refusal: an entry is malformed, unsupported or in the wrong place.
    """
    if not isinstance(entries, list) or not entries:
        raise Refusal(400, "messages must be a list of at least one message", "messages")
    if len(entries) > max_messages:
        raise Refusal(413, f"there are {len(entries)} messages: at most {max_messages} are allowed", "messages")
    messages = tuple(_message(entry, f"messages[{index}]") for index, entry in enumerate(entries))
    _check_order(messages)
    return messages


def _message(entry: Any, param: str) -> Message:
    if not isinstance(entry, dict):
        refuse("must be an object", param)
    role = _ROLES.get(entry["role"]) if isinstance(entry.get("role"), str) else None
    if role is None:
        refuse(f"must be one of {', '.join(_ROLES)}", f"{param}.role")
    text = _text(entry.get("content"), f"{param}.content", optional=role == "assistant")
    if role == "assistant":
        if entry.get("function_call") is not None:
            refuse("is deprecated: use tool_calls", f"{param}.function_call")
        calls, ids = _calls(entry.get("tool_calls"), f"{param}.tool_calls")
        name = next((name for name in _THOUGHTS if entry.get(name) is not None), None)
        thought = "" if name is None else _string(entry[name], f"{param}.{name}")
        return Message(role, text, thought, calls, ids)
    if role == "tool":
        return Message(role, text, result_of=_string(entry.get("tool_call_id"), f"{param}.tool_call_id"))
    return Message(role, text)


def _text(content: Any, param: str, optional: bool) -> str:
    if content is None and optional:
        return ""
    if isinstance(content, str):
        return content
    if not isinstance(content, list):
        refuse("must be a string, or a list of text parts", param)
    for part in content:
        if not isinstance(part, dict) or part.get("type") != "text" or not isinstance(part.get("text"), str):
            refuse('has a part that is not {"type": "text", "text": "…"}: only text is supported', param)
    return "".join(part["text"] for part in content)


def _calls(entries: Any, param: str) -> tuple[tuple[ToolCall, ...], tuple[str, ...]]:
    """Return the calls and their ids."""
    if entries is None:
        return (), ()
    if not isinstance(entries, list):
        refuse("must be a list of calls", param)
    calls = [_call(entry, f"{param}[{index}]") for index, entry in enumerate(entries)]
    return tuple(call for call, _ in calls), tuple(id_ for _, id_ in calls)


def _call(entry: Any, param: str) -> tuple[ToolCall, str]:
    function = entry.get("function") if isinstance(entry, dict) else None
    if not isinstance(function, dict):
        refuse('must be {"id": "…", "type": "function", "function": {"name": "…", "arguments": "{…}"}}', param)
    name = _string(function.get("name"), f"{param}.function.name")
    try:
        arguments = json.loads(_string(function.get("arguments"), f"{param}.function.arguments"))
    except ValueError:
        arguments = None
    if not isinstance(arguments, dict):
        refuse("must be a string that contains a JSON object", f"{param}.function.arguments")
    return ToolCall(name, arguments), _string(entry.get("id"), f"{param}.id")


def _string(value: Any, param: str) -> str:
    if not isinstance(value, str):
        refuse("must be a string", param)
    return value


def _check_order(messages: Sequence[Message]) -> None:
    begun, open_calls = False, tuple[str, ...]()
    for index, message in enumerate(messages):
        param = f"messages[{index}]"
        if message.role == "system" and begun:
            refuse("is a system message: these must come before all others", param)
        begun = begun or message.role != "system"
        if message.role == "assistant":
            open_calls = message.call_ids
        if message.role == "tool" and message.result_of not in open_calls:
            refuse("must be the id of a call in the preceding assistant's message", f"{param}.tool_call_id")
    if messages[-1].role not in ("user", "tool"):
        refuse("is the last message: its role must be user or tool", param)


def read_reply(completion: str, has_tools: bool, protocol: ResponseProtocol = PAPERS) -> Message:
    """Return the assistant's message of a completion in a response protocol.

    Calls become text (``[Api(k='v')]``) if the client sent no tools. A completion with a format error becomes text as
    it is.
    """
    action = protocol.parse(completion)
    if isinstance(action, FinalAnswer):
        return Message("assistant", action.text, action.thought)
    if isinstance(action, ToolCalls):
        if has_tools:
            ids = tuple(f"call_{uuid.uuid4().hex}" for _ in action.calls)
            return Message("assistant", "", action.thought, action.calls, ids)
        written = render_call_list(action.calls)
        if written is not None:
            return Message("assistant", written, action.thought)
    return Message("assistant", completion.strip())


def chat_completion(model: str, reply: Message, clipped: bool, prompt_tokens: int, sampled: int) -> dict[str, Any]:
    """Return OpenAI's ``chat.completion`` object; ``clipped`` marks a completion at its length limit."""
    # Without calls, the key tool_calls is missing: clients treat an empty list as calls and drop the text.
    message: dict[str, Any] = {"role": "assistant", "content": reply.text or (None if reply.calls else "")}
    if reply.thought:
        message["reasoning_content"] = reply.thought
    if reply.calls:
        message["tool_calls"] = [
            {
                "id": id_,
                "type": "function",
                "function": {"name": call.name, "arguments": json.dumps(call.arguments, ensure_ascii=False)},
            }
            for id_, call in zip(reply.call_ids, reply.calls, strict=True)
        ]
    total = prompt_tokens + sampled
    reason = "tool_calls" if reply.calls else "length" if clipped else "stop"
    return {
        "id": f"chatcmpl-{uuid.uuid4().hex}",
        "object": "chat.completion",
        "created": int(time.time()),
        "model": model,
        "choices": [{"index": 0, "message": message, "finish_reason": reason, "logprobs": None}],
        "usage": {"prompt_tokens": prompt_tokens, "completion_tokens": sampled, "total_tokens": total},
    }
