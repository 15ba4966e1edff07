"""The body of a request for a chat completion -> a record. What would be ignored is refused, never dropped silently."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NoReturn

from envtune.serving.documents import read_tools
from envtune.serving.messages import Message, read_messages
from envtune.serving.refusal import Refusal
from envtune.task import ToolDocument

MAX_TEMPERATURE = 2.0
MAX_SEED = 2**63 - 1
# Taken and not needed: they name the client, or choose how it is billed or cached.
_WITHOUT_EFFECT = {
    "metadata",
    "safety_identifier",
    "service_tier",
    "store",
    "stream_options",
    "user",
}
# Supported at no other value than these; null, everywhere, is as good as nothing.
_ONLY: Mapping[str, tuple[Any, ...]] = {
    "frequency_penalty": (0,),
    "logit_bias": ({},),
    "logprobs": (False,),
    "n": (1,),
    "parallel_tool_calls": (True,),
    "presence_penalty": (0,),
    "response_format": ({"type": "text"},),
    "stop": ([],),
    "stream": (False,),
    "tool_choice": ("auto", "none"),
    "top_logprobs": (0,),
}
_READ = {
    "max_completion_tokens",
    "max_tokens",
    "messages",
    "model",
    "prompt_cache_key",
    "seed",
    "temperature",
    "tools",
    "top_p",
}


@dataclass(frozen=True, slots=True)
class Limits:
    """What one request may hold; ``completion_tokens`` is also what a request without a limit of its own gets."""

    completion_tokens: int
    body_bytes: int = 8 * 2**20
    messages: int = 1000
    tools: int = 512


@dataclass(frozen=True, slots=True)
class ChatRequest:
    """What a completion is asked for. ``seed`` None: any. ``conversation`` is the client's name for it, maybe none."""

    model: str
    messages: tuple[Message, ...]
    tools: tuple[ToolDocument, ...]
    max_tokens: int
    temperature: float = 1.0
    top_p: float = 1.0
    seed: int | None = None
    conversation: str = ""


def read_chat_request(text: bytes | bytearray, limits: Limits) -> ChatRequest:
    """Reads and checks the body of a request.

    Raises:
        Refusal: it is no JSON object, or asks for something that is not supported or not allowed.
    """
    try:
        return _read(json.loads(text, parse_constant=_no_number), limits)
    except RecursionError as error:
        raise Refusal(400, "the body is nested too deeply") from error
    except ValueError as error:
        raise Refusal(400, f"the body is no JSON ({error})") from error


def _read(body: Any, limits: Limits) -> ChatRequest:
    if not isinstance(body, dict):
        raise Refusal(400, "the body must be a JSON object")
    given = {name: value for name, value in body.items() if value is not None and name not in _WITHOUT_EFFECT}
    _check_supported(given)
    for name, default in (("model", None), ("prompt_cache_key", "")):
        if not isinstance(given.get(name, default), str):
            _refuse("must be a string", name)
    tools = read_tools(given.get("tools", []), limits.tools)
    return ChatRequest(
        model=given["model"],
        messages=read_messages(given.get("messages"), limits.messages),
        tools=() if given.get("tool_choice") == "none" else tools,
        max_tokens=_max_tokens(given, limits.completion_tokens),
        temperature=_number(given, "temperature", 1.0, 0.0, MAX_TEMPERATURE),
        top_p=_top_p(given),
        seed=_seed(given),
        conversation=given.get("prompt_cache_key", ""),
    )


def _check_supported(given: Mapping[str, Any]) -> None:
    for name, value in given.items():
        allowed = _ONLY.get(name)
        if allowed is None and name not in _READ:
            _refuse("is not supported", name[:40])
        # A boolean is no number here, though Python counts it as one.
        if allowed is not None and not any(value == other and _same_kind(value, other) for other in allowed):
            choices = " or ".join(json.dumps(other) for other in allowed)
            _refuse(f"is supported only as {choices}", name)


def _same_kind(value: Any, other: Any) -> bool:
    return isinstance(value, bool) == isinstance(other, bool)


def _max_tokens(given: Mapping[str, Any], limit: int) -> int:
    names = [name for name in ("max_completion_tokens", "max_tokens") if name in given]
    for name in names:
        value = given[name]
        if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value <= limit:
            _refuse(f"must be an integer from 1 to {limit}, the longest completion that is served here", name)
    return min((given[name] for name in names), default=limit)


def _top_p(given: Mapping[str, Any]) -> float:
    value = _number(given, "top_p", 1.0, 0.0, 1.0)
    if value == 0:
        _refuse("must be above 0; for the likeliest tokens give temperature 0", "top_p")
    return value


def _seed(given: Mapping[str, Any]) -> int | None:
    value = given.get("seed")
    if value is not None and (not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= MAX_SEED):
        _refuse(f"must be an integer from 0 to {MAX_SEED}", "seed")
    return value


def _number(given: Mapping[str, Any], name: str, default: float, low: float, high: float) -> float:
    value = given.get(name, default)
    if not isinstance(value, int | float) or isinstance(value, bool) or not low <= value <= high:
        _refuse(f"must be a number from {low:g} to {high:g}", name)
    return float(value)


def _no_number(literal: str) -> NoReturn:
    raise ValueError(f"{literal} is no JSON number")


def _refuse(what: str, param: str) -> NoReturn:
    raise Refusal(400, f"{param} {what}", param, "unsupported_value" if "support" in what else None)
