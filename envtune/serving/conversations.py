"""The messages of a chat request -> the prompt's token ids, as an episode of training would have built them.

An endpoint gets the whole conversation again with every request, but only the visible part of what it has answered: no
thought, and tokens that were sampled only as text. So it remembers: where a conversation goes on from one of its own
replies, its prompt goes on from the very ids, and tools that are new since then are handed over as in training. Replies
that are not remembered are written in the response protocol, and all tools stand in the system prompt.

What is remembered holds thoughts, which two clients with the same visible text must not get of each other. So visible
text alone finds nothing: a conversation is found by its name, which the client sends; by the ids of its calls, which
are random; or by its thoughts, if they are sent back.
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
from envtune.chat.protocol import render_answer, render_calls
from envtune.chat.template import Template
from envtune.environment.episode import render_results
from envtune.serving.messages import Message
from envtune.serving.refusal import Refusal
from envtune.task import ToolDocument
from envtune.trajectory import ToolResult

# Bytes of an entry beside its ids and its tools' digests, about.
_ENTRY = 600


@dataclass(frozen=True, slots=True)
class _Known:
    """A conversation up to the end token of one of our replies, and the digests of the tools that it knows.

    ``ids`` are empty if two replies were given to what looks like one conversation: neither may be taken for the other.
    """

    ids: array[int]
    tools: frozenset[bytes]

    @property
    def size(self) -> int:
        """In bytes."""
        return _ENTRY + self.ids.itemsize * len(self.ids) + 100 * len(self.tools)


@dataclass(frozen=True, slots=True)
class _Keys:
    """What a conversation may be found by: ``named`` by its name or its calls' ids, ``told`` by its thoughts."""

    named: bytes
    told: bytes


@dataclass(frozen=True, slots=True)
class Prompt:
    """The ids before a completion, and what is needed to remember the reply; no text of the request is kept."""

    ids: array[int]
    tools: frozenset[bytes]
    keys: _Keys
    has_name: bool
    is_identified: bool


class Conversations:
    """The conversations of an endpoint, for use in several threads.

    Args:
        template: of the model.
        window: ids that a prompt may have.
        remembered_bytes: memory for replies; the ones that were not used for the longest time are forgotten.
    """

    def __init__(self, template: Template, window: int, remembered_bytes: int = 256 * 2**20) -> None:
        self._template, self._window, self._remembered_bytes = template, window, remembered_bytes
        self._known: OrderedDict[bytes, _Known] = OrderedDict()
        self._bytes = 0
        self._lock = threading.Lock()

    def prompt(self, messages: Sequence[Message], tools: Sequence[ToolDocument], name: str = "") -> Prompt:
        """The ids before the completion that answers ``messages``; ``name`` is the client's for the conversation.

        Raises:
            Refusal: an earlier call of the assistant's cannot be written in the response protocol, or the window is too
                small, which is found before much more than its tokens have been made.
        """
        keys = _keys(messages, name)
        digests = {_digest(tool): tool for tool in tools}
        known, count, is_identified = self._longest_known(keys, digests.keys())
        ids = array("i", known.ids if known else ())
        new_tools = [tool for digest, tool in digests.items() if digest not in known.tools] if known else []
        for observation, reply in _exchanges(messages, count):
            # What there is no room for must not cost the time and memory of reading it all.
            room = self._window - len(ids)
            try:
                if ids:
                    ids.extend(self._template.append(observation, new_tools, room))
                    new_tools = []
                else:
                    further = "\n\n".join(message.text for message in messages if message.role == "system")
                    ids.extend(self._template.open(observation, tools, further, room))
                if reply:
                    ids.extend(self._template.reply(_completion(reply, bool(tools)), room))
            except TooLong:
                raise self._too_long(f"more than {self._window}") from None
            if len(ids) >= self._window:
                raise self._too_long(str(len(ids)))
        return Prompt(ids, frozenset(digests), keys[-1], bool(name), bool(name) or is_identified)

    def remember(self, prompt: Prompt, reply: Message, sampled: Sequence[int]) -> None:
        """``reply`` was given to ``prompt``; ``sampled`` are its ids."""
        known = _Known(prompt.ids + array("i", [*sampled, *self._template.close_clipped(sampled)]), prompt.tools)
        keys = _next_keys(prompt.keys, reply, (), prompt.has_name)
        with self._lock:
            if not prompt.is_identified:
                # All thoughts in the ids are among those that the client would have to send.
                self._keep(keys.told, known)
            # The ids of new calls identify a conversation from here on.
            if prompt.is_identified or reply.calls:
                before = self._known.get(keys.named)
                is_alone = before is None or before.ids == known.ids
                self._keep(keys.named, known if is_alone else _Known(array("i"), prompt.tools))

    def _keep(self, key: bytes, known: _Known) -> None:
        self._forget(key)
        self._known[key] = known
        self._bytes += known.size
        while self._bytes > self._remembered_bytes:
            self._forget(next(iter(self._known)))

    def _forget(self, key: bytes) -> None:
        known = self._known.pop(key, None)
        self._bytes -= known.size if known else 0

    def _longest_known(self, keys: Sequence[_Keys], tools: Iterable[bytes]) -> tuple[_Known | None, int, bool]:
        """The latest reply of ours that the messages go on from, the number of messages up to it, and whether it was
        found without its thoughts."""
        offered = frozenset(tools)
        with self._lock:
            for count in range(len(keys) - 1, 0, -1):
                for key in (keys[count].named, keys[count].told):
                    known = self._known.get(key)
                    # Tools cannot be taken back from a prompt that has shown them.
                    if known and known.ids and known.tools <= offered:
                        self._known.move_to_end(key)
                        return known, count, key == keys[count].named
        return None, 0, False

    def _too_long(self, count: str) -> Refusal:
        message = f"the messages and tools take {count} tokens, but the model's window holds {self._window}"
        return Refusal(400, message, "messages", "context_length_exceeded")


def _digest(tool: ToolDocument) -> bytes:
    return _link(b"tool", tool.name, tool.description, tool.parameters, tool.response)


def _keys(messages: Sequence[Message], name: str) -> list[_Keys]:
    """What the conversation up to each message may be found by: first that of no messages."""
    keys = [_Keys(_link(b"named", name), _link(b"told"))]
    call_ids: tuple[str, ...] = ()
    for message in messages:
        keys.append(_next_keys(keys[-1], message, call_ids, bool(name)))
        call_ids = message.call_ids if message.role == "assistant" else call_ids
    return keys


def _next_keys(before: _Keys, message: Message, call_ids: Sequence[str], has_name: bool) -> _Keys:
    """The keys with ``message`` behind them, a result of one of ``call_ids`` or anything else.

    Clients may make the ids of calls anew, so that a name stands in for them.
    """
    calls = [[call.name, call.arguments] for call in message.calls]
    text = message.text.strip() if message.role == "assistant" else message.text
    answered = call_ids.index(message.result_of) if message.role == "tool" else None
    visible = _link(b"", message.role, text, calls, answered)
    ids = () if has_name else message.call_ids
    return _Keys(_link(before.named + visible, *ids), _link(before.told + visible, message.thought.strip()))


def _link(before: bytes, *further: Any) -> bytes:
    return hashlib.sha256(before + json.dumps(further, sort_keys=True).encode()).digest()


def _exchanges(messages: Sequence[Message], start: int) -> Iterator[tuple[str, Message | None]]:
    """From ``messages[start:]``: what the assistant read, and what it replied; at the end, nothing yet.

    Messages that follow each other without a reply between them are read as one.
    """
    before = messages[start - 1] if start else Message("assistant")
    unread: list[Message] = []
    for message in messages[start:]:
        if message.role == "assistant":
            yield _observation(before, unread), message
            before, unread = message, []
        elif message.role != "system":
            unread.append(message)
    yield _observation(before, unread), None


def _observation(reply: Message, unread: Sequence[Message]) -> str:
    """What follows ``reply``: the results of its calls in their order, written as in an episode, then the user."""
    texts = {message.result_of: message.text for message in unread if message.role == "tool"}
    answered = zip(reply.call_ids, reply.calls, strict=True)
    results = tuple(ToolResult(call, True, texts[id_]) for id_, call in answered if id_ in texts)
    said = [message.text for message in unread if message.role == "user"]
    return "\n\n".join([render_results(results), *said] if results else said)


def _completion(reply: Message, has_tools: bool) -> str:
    """A completion that says what the assistant's message shows."""
    calls = reply.calls if reply.calls or has_tools else parse_call_list(reply.text)
    try:
        # Models that think aloud do so in the text beside their calls.
        thought = reply.thought or (reply.text if reply.calls else "")
        return render_calls(thought, calls) if calls else render_answer(reply.thought, reply.text)
    except ValueError as error:
        if reply.calls:
            raise Refusal(400, f"a message's tool_calls cannot be shown to the model: {error}", "messages") from error
        # A broken response, which went out as it was.
        return reply.text
