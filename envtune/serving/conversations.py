"""The messages of a chat request -> the prompt's token ids, as an episode of training would have built them.

An endpoint gets the whole conversation again with every request, but only the visible part of what it has answered: no
thought, and tokens that were sampled only as text. So it remembers: where a conversation goes on from one of its own
replies, its prompt goes on from the very ids, and tools that are new since then are handed over as in training. Replies
that are not remembered are written in the response protocol, and all tools stand in the system prompt.
"""

from __future__ import annotations

import hashlib
import json
import threading
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from envtune.chat.protocol import render_answer, render_calls
from envtune.chat.template import Template
from envtune.environment.episode import render_results
from envtune.serving.call_text import read_calls
from envtune.serving.messages import Message
from envtune.serving.refusal import Refusal
from envtune.task import ToolDocument
from envtune.trajectory import ToolResult


@dataclass(frozen=True, slots=True)
class _Known:
    """A conversation up to the end token of one of our replies, and the tools that it knows."""

    ids: tuple[int, ...]
    tools: tuple[ToolDocument, ...]


class Conversations:
    """The conversations of an endpoint; ``remembered`` of its latest replies are kept. For use in several threads."""

    def __init__(self, template: Template, remembered: int = 1024) -> None:
        self._template, self._remembered = template, remembered
        self._known: OrderedDict[bytes, _Known] = OrderedDict()
        self._lock = threading.Lock()

    def prompt(self, messages: Sequence[Message], tools: tuple[ToolDocument, ...]) -> tuple[int, ...]:
        """The ids before the completion that answers ``messages``.

        Raises:
            Refusal: an earlier call of the assistant's cannot be written in the response protocol.
        """
        known, count = self._longest_known(messages, tools)
        ids = list(known.ids) if known else []
        new_tools = [tool for tool in tools if tool not in known.tools] if known else []
        for observation, reply in _exchanges(messages, count):
            if ids:
                ids += self._template.append(observation, new_tools)
                new_tools = []
            else:
                further = "\n\n".join(message.text for message in messages if message.role == "system")
                ids += self._template.open(observation, tools, further)
            if reply:
                ids += self._template.reply(_completion(reply, bool(tools)))
        return tuple(ids)

    def remember(
        self, messages: Sequence[Message], tools: tuple[ToolDocument, ...], reply: Message, ids: Sequence[int]
    ) -> None:
        """``reply`` was given to ``messages``; ``ids`` are their prompt and the sampled completion."""
        closing = self._template.close_clipped(ids)
        with self._lock:
            key = _digests([*messages, reply])[-1]
            self._known[key] = _Known((*ids, *closing), tools)
            self._known.move_to_end(key)
            if len(self._known) > self._remembered:
                self._known.popitem(last=False)

    def _longest_known(self, messages: Sequence[Message], tools: tuple[ToolDocument, ...]) -> tuple[_Known | None, int]:
        """The latest reply of ours that ``messages`` go on from, and the number of messages up to it."""
        digests = _digests(messages)
        for count in range(len(messages) - 1, 0, -1):
            with self._lock:
                known = self._known.get(digests[count - 1])
                # Tools cannot be taken back from a prompt that has shown them.
                if known and all(tool in tools for tool in known.tools):
                    self._known.move_to_end(digests[count - 1])
                    return known, count
        return None, 0


def _digests(messages: Sequence[Message]) -> list[bytes]:
    """For each message, a digest of the conversation up to it: of what a client sends back, thus without thoughts, and
    without ids, which some clients make anew."""
    running, digests = hashlib.sha256(), []
    for message in messages:
        calls = [[call.name, call.arguments] for call in message.calls]
        visible = [message.role, message.text.strip() if message.role == "assistant" else message.text, calls]
        running.update(json.dumps(visible, sort_keys=True).encode() + b"\n")
        digests.append(running.digest())
    return digests


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
    calls = reply.calls if reply.calls or has_tools else read_calls(reply.text)
    try:
        # Models that think aloud do so in the text beside their calls.
        thought = reply.thought or (reply.text if reply.calls else "")
        return render_calls(thought, calls) if calls else render_answer(reply.thought, reply.text)
    except ValueError as error:
        if reply.calls:
            raise Refusal(400, f"a message's tool_calls cannot be shown to the model: {error}", "messages") from error
        # A broken response, which went out as it was.
        return reply.text
