"""Parses the body of a chat completion request. Unsupported parameters are refused, not ignored."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NoReturn

from envtune.serving.documents import read_tools
from envtune.serving.messages import Message, read_messages
from envtune.serving.refusal import Refusal, refuse
from envtune.task import ToolDocument

MAX_TEMPERATURE = 2.0
MAX_SEED = 2**63 - 1
# Accepted without effect: they identify the client, or choose billing and caching.
_WITHOUT_EFFECT = {"metadata", "safety_identifier", "service_tier", "store", "stream_options", "user"}
# Supported only with these values; null always counts as missing.
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
_SAMPLING = {"max_completion_tokens", "max_tokens", "seed", "temperature", "top_p"}
_READ = _SAMPLING | {"messages", "model", "prompt_cache_key", "tools"}


@dataclass(frozen=True, slots=True)
class Limits:
    """Limits on the size of a request."""

    completion_tokens: int
    """Also the default of a request."""
    body_bytes: int = 8 * 2**20
    messages: int = 1000
    tools: int = 512


@dataclass(frozen=True, slots=True)
class ChatRequest:
    """A validated chat completion request."""

    model: str
    messages: tuple[Message, ...]
    tools: tuple[ToolDocument, ...]
    max_tokens: int
    temperature: float = 1.0
    """0 takes the likeliest tokens."""
    top_p: float = 1.0
    seed: int | None = None
    """None draws a random seed."""
    conversation: str = ""
    """The client's name of the conversation; empty if it sends none."""


def read_chat_request(text: bytes | bytearray, limits: Limits) -> ChatRequest:
    """Parse and validate the body of a request.

    Raises:
        Refusal: the body is not a JSON object, or a value is not supported or not allowed.
    """
    try:
        return _read(json.loads(text, parse_constant=_refuse_constant), limits)
    except RecursionError as error:
        raise Refusal(400, "the body is nested too deeply") from error
    except ValueError as error:
        raise Refusal(400, f"the body is not valid JSON ({error})") from error


def _read(body: Any, limits: Limits) -> ChatRequest:
    if not isinstance(body, dict):
        raise Refusal(400, "the body must be a JSON object")
    given = {name: value for name, value in body.items() if value is not None and name not in _WITHOUT_EFFECT}
    _check_supported(given)
    for name, default in (("model", None), ("prompt_cache_key", "")):
        if not isinstance(given.get(name, default), str):
            refuse("must be a string", name)
    tools = read_tools(given.get("tools", []), limits.tools)
    messages = read_messages(given.get("messages"), limits.messages)
    max_tokens = _max_tokens(given, limits.completion_tokens)
    temperature = _number(given, "temperature", 1.0, 0.0, MAX_TEMPERATURE)
    top_p = _number(given, "top_p", 1.0, 0.0, 1.0)
    if top_p == 0:
        refuse("must be above 0; for the likeliest tokens, set temperature to 0", "top_p")
    seed = given.get("seed")
    if seed is not None and not _is_integer(seed, 0, MAX_SEED):
        refuse(f"must be an integer from 0 to {MAX_SEED}", "seed")
    offered, name = () if given.get("tool_choice") == "none" else tools, given.get("prompt_cache_key", "")
    return ChatRequest(given["model"], messages, offered, max_tokens, temperature, top_p, seed, name)


def _check_supported(given: Mapping[str, Any]) -> None:
    for name, value in given.items():
        allowed = _ONLY.get(name)
        if allowed is None and name not in _READ:
            refuse("is not supported", name[:40], "unsupported_value")
        # In Python, True == 1 and False == 0: a boolean equals only a boolean here.
        equal = (v == value and isinstance(v, bool) == isinstance(value, bool) for v in allowed or ())
        if allowed is not None and not any(equal):
            choices = " or ".join(json.dumps(other) for other in allowed)
            refuse(f"is supported only as {choices}", name, "unsupported_value")


def _max_tokens(given: Mapping[str, Any], limit: int) -> int:
    names = [name for name in ("max_completion_tokens", "max_tokens") if name in given]
    for name in names:
        if not _is_integer(given[name], 1, limit):
            refuse(f"must be an integer from 1 to {limit}, the limit of this server", name)
    return min((given[name] for name in names), default=limit)


def _is_integer(value: Any, low: int, high: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and low <= value <= high


def _number(given: Mapping[str, Any], name: str, default: float, low: float, high: float) -> float:
    value = given.get(name, default)
    if not isinstance(value, int | float) or isinstance(value, bool) or not low <= value <= high:
        refuse(f"must be a number from {low:g} to {high:g}", name)
    return float(value)


def _refuse_constant(literal: str) -> NoReturn:
    raise ValueError(f"{literal} is not a JSON number")
