"""Converts a completion to an assistant's message and OpenAI's response object."""

from __future__ import annotations

import json
import time
import uuid
from typing import Any

from envtune.call_text import render_call_list
from envtune.chat.protocol import parse
from envtune.serving.messages import Message
from envtune.trajectory import FinalAnswer, ToolCalls


def read_reply(completion: str, has_tools: bool) -> Message:
    """Return the assistant's message of a completion.

    Calls become text (``[Api(k='v')]``) if the client sent no tools. A completion with a format error becomes text as
    it is.
    """
    action = parse(completion)
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


def chat_completion(
    model: str, reply: Message, clipped: bool, prompt_tokens: int, sampled_tokens: int
) -> dict[str, Any]:
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
    reason = "tool_calls" if reply.calls else "length" if clipped else "stop"
    return {
        "id": f"chatcmpl-{uuid.uuid4().hex}",
        "object": "chat.completion",
        "created": int(time.time()),
        "model": model,
        "choices": [{"index": 0, "message": message, "finish_reason": reason, "logprobs": None}],
        "usage": {
            "prompt_tokens": prompt_tokens,
            "completion_tokens": sampled_tokens,
            "total_tokens": prompt_tokens + sampled_tokens,
        },
    }
