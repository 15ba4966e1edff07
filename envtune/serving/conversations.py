"""Builds the prompt's token ids from the messages of a chat request, as an episode of training does.

A client sends the whole conversation with every request, but replies only as visible text, without thoughts and token
ids. The endpoint therefore stores the ids of its replies: a conversation that continues one of them extends its exact
ids, and later tools are introduced as in training. Other replies are rendered in the response protocol, with all tools
in the system prompt.

Stored ids contain thoughts, which must not reach another client whose conversation has equal visible text. Visible text
alone is therefore not a key: a conversation is found by its name, which the client sends; by the random ids of its
calls; or by its thoughts, if the client sends them back.
"""

from __future__ import annotations

import hashlib
import json
import threading
from array import array
from collections import OrderedDict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from envtune.call_text import parse_call_list
from envtune.chat.plain_text import TooLong
from envtune.chat.protocol.response_protocol import ResponseProtocol
from envtune.chat.template import Template
from envtune.environment.episode import render_results, result_text
from envtune.errors import UserError
from envtune.serving.messages import Message
from envtune.serving.refusal import Refusal
from envtune.task import ToolDocument
from envtune.trajectory import ToolResult

# Approximate size of an entry without its ids and tool digests, in bytes.
_ENTRY = 600


@dataclass(frozen=True, slots=True)
class _Stored:
    """A conversation up to the end token of a reply."""

    ids: array[int]
    """Empty if two replies were given to conversations with equal keys: neither may replace the other."""
    tools: frozenset[bytes]
    """Digests of the tools in the prompt."""

    @property
    def size(self) -> int:
        """Memory in bytes."""
        return _ENTRY + self.ids.itemsize * len(self.ids) + 100 * len(self.tools)


@dataclass(frozen=True, slots=True)
class _Keys:
    """Digests to find a conversation by."""

    by_name: bytes
    """Of the client's name, or the ids of calls."""
    by_thoughts: bytes


@dataclass(frozen=True, slots=True)
class Prompt:
    """The ids before a completion, and what is required to store the reply, without the text of the request."""

    ids: array[int]
    tools: frozenset[bytes]
    keys: _Keys
    has_name: bool
    is_identified: bool
    """True if the conversation has a name or was found by the ids of its calls."""


class Conversations:
    """The stored conversations of an endpoint. Thread-safe.

    Args:
        template: the model's chat template.
        window: context length in tokens.
        stored_bytes: memory for replies; the least recently used ones are dropped.
    """

    def __init__(self, template: Template, window: int, stored_bytes: int = 256 * 2**20) -> None:
        self._template, self._window, self._stored_bytes = template, window, stored_bytes
        self._stored: OrderedDict[bytes, _Stored] = OrderedDict()
        self._bytes = 0
        self._lock = threading.Lock()

    def prompt(self, messages: Sequence[Message], tools: Sequence[ToolDocument], name: str = "") -> Prompt:
        """Return the prompt of the reply to ``messages``; ``name`` is the client's name of the conversation.

        Raises:
            Refusal: the response protocol cannot express an earlier call of the assistant, or the prompt exceeds the
                window, which is detected without encoding much more than the window.
        """
        keys = _keys(messages, name)
        digests = {_link(b"tool", tool.name, tool.description, tool.parameters, tool.response): tool for tool in tools}
        stored, count, is_identified = self._longest_stored(keys, digests.keys())
        ids = array("i", stored.ids if stored else ())
        new_tools = [tool for digest, tool in digests.items() if digest not in stored.tools] if stored else []
        for observation, reply in _exchanges(messages, count):
            # Text beyond the window must not cost the time and memory of encoding it.
            room = self._window - len(ids)
            try:
                if ids:
                    results, behind = observation.results, observation.behind
                    ids.extend(self._template.append(observation.text, new_tools, room, results, behind))
                    new_tools = []
                else:
                    further = "\n\n".join(message.text for message in messages if message.role == "system")
                    ids.extend(self._template.open(observation.text, tools, further, room))
                if reply:
                    completion = _completion(reply, bool(tools), self._template.protocol)
                    ids.extend(self._template.reply(completion, room))
            except TooLong:
                raise self._too_long(f"more than {self._window}") from None
            except UserError as error:
                # The chat template fails for these tools.
                raise Refusal(400, str(error), "tools") from error
            if len(ids) >= self._window:
                raise self._too_long(str(len(ids)))
        return Prompt(ids, frozenset(digests), keys[-1], bool(name), bool(name) or is_identified)

    def store(self, prompt: Prompt, reply: Message, sampled: Sequence[int]) -> None:
        """Store the ``sampled`` ids of the ``reply`` to ``prompt``."""
        stored = _Stored(prompt.ids + array("i", [*sampled, *self._template.close_clipped(sampled)]), prompt.tools)
        keys = _next_keys(prompt.keys, reply, (), prompt.has_name)
        with self._lock:
            if not prompt.is_identified:
                # The key covers all thoughts in the ids: only a client that sends them back finds the entry.
                self._insert(keys.by_thoughts, stored)
            # The random ids of new calls identify the conversation from here on.
            if prompt.is_identified or reply.calls:
                other = self._stored.get(keys.by_name)
                is_unique = other is None or other.ids == stored.ids
                self._insert(keys.by_name, stored if is_unique else _Stored(array("i"), prompt.tools))

    def _insert(self, key: bytes, stored: _Stored) -> None:
        self._remove(key)
        self._stored[key] = stored
        self._bytes += stored.size
        while self._bytes > self._stored_bytes:
            self._remove(next(iter(self._stored)))

    def _remove(self, key: bytes) -> None:
        stored = self._stored.pop(key, None)
        self._bytes -= stored.size if stored else 0

    def _longest_stored(self, keys: Sequence[_Keys], tools: Iterable[bytes]) -> tuple[_Stored | None, int, bool]:
        """Return the latest stored reply among the messages, its number of messages, and whether it is identified."""
        offered = frozenset(tools)
        with self._lock:
            for count in range(len(keys) - 1, 0, -1):
                for key in (keys[count].by_name, keys[count].by_thoughts):
                    stored = self._stored.get(key)
                    # Tools in a prompt cannot be withdrawn.
                    if stored and stored.ids and stored.tools <= offered:
                        self._stored.move_to_end(key)
                        return stored, count, key == keys[count].by_name
        return None, 0, False

    def _too_long(self, count: str) -> Refusal:
        message = f"the messages and tools take {count} tokens, but the model's window holds {self._window}"
        return Refusal(400, message, "messages", "context_length_exceeded")


def _keys(messages: Sequence[Message], name: str) -> list[_Keys]:
    """Return the keys of the conversation after 0, 1, 2, … messages."""
    keys = [_Keys(_link(b"name", name), _link(b"thoughts"))]
    call_ids: tuple[str, ...] = ()
    for message in messages:
        keys.append(_next_keys(keys[-1], message, call_ids, bool(name)))
        call_ids = message.call_ids if message.role == "assistant" else call_ids
    return keys


def _next_keys(before: _Keys, message: Message, call_ids: Sequence[str], has_name: bool) -> _Keys:
    """Return the keys after one more message. A name replaces the ids of calls, which clients may regenerate."""
    calls = [[call.name, call.arguments] for call in message.calls]
    text = message.text.strip() if message.role == "assistant" else message.text
    answered = call_ids.index(message.result_of) if message.role == "tool" else None
    visible = _link(b"", message.role, text, calls, answered)
    ids = () if has_name else message.call_ids
    return _Keys(_link(before.by_name + visible, *ids), _link(before.by_thoughts + visible, message.thought.strip()))


def _link(before: bytes, *further: Any) -> bytes:
    return hashlib.sha256(before + json.dumps(further, sort_keys=True).encode()).digest()


@dataclass(frozen=True, slots=True)
class _Observation:
    """What stands before a reply, as in an episode."""

    text: str
    results: tuple[str, ...]
    behind: str


def _exchanges(messages: Sequence[Message], start: int) -> Iterator[tuple[_Observation, Message | None]]:
    """Yield observation and reply of each step in ``messages[start:]``; the last reply is None.

    Consecutive messages without a reply between them form one observation.
    """
    previous = messages[start - 1] if start else Message("assistant")
    pending: list[Message] = []
    for message in messages[start:]:
        if message.role == "assistant":
            yield _observation(previous, pending), message
            previous, pending = message, []
        elif message.role != "system":
            pending.append(message)
    yield _observation(previous, pending), None


def _observation(reply: Message, messages: Sequence[Message]) -> _Observation:
    """Return the results of the calls of ``reply`` in their order, rendered as in an episode, then the user's text."""
    texts = {message.result_of: message.text for message in messages if message.role == "tool"}
    calls = zip(reply.call_ids, reply.calls, strict=True)
    results = tuple(ToolResult(call, True, texts[id_]) for id_, call in calls if id_ in texts)
    users = [message.text for message in messages if message.role == "user"]
    behind = "\n\n".join(users)
    text = "\n\n".join([render_results(results), *users]) if results else behind
    return _Observation(text, tuple(map(result_text, results)), behind)


def _completion(reply: Message, has_tools: bool, protocol: ResponseProtocol) -> str:
    """Return the completion that an assistant's message represents."""
    calls = reply.calls if reply.calls or has_tools else parse_call_list(reply.text)
    try:
        # Without a thought, text beside calls counts as thought.
        thought = reply.thought or (reply.text if reply.calls else "")
        return protocol.write_calls(thought, calls) if calls else protocol.write_answer(reply.thought, reply.text)
    except ValueError as error:
        if reply.calls:
            raise Refusal(400, f"the tool_calls of a message are not allowed: {error}", "messages") from error
        # A completion with a format error, which was returned as it is.
        return reply.text
