"""Encodes messages with a tokenizer's chat template, piece by piece, so that no text is tokenised again.

The template is rendered once, with placeholders for the messages; episodes append the text between them. Sampled ids
stay as they are, also where the template would rewrite them (envtune/chat/trained_conversation.py). Observations are
``user`` messages, since every template supports that role; in native protocols, results are ``tool`` messages and the
template renders the documents, if it can. Only the template's own text becomes control tokens; all other text is
encoded by ``PlainText``.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from typing import Any

from envtune.chat.pieces import Pieces, read_template
from envtune.chat.plain_text import PlainText
from envtune.chat.prefilled import behind_prefix, require_response
from envtune.chat.prompt import PromptStyle
from envtune.chat.protocol import PAPERS
from envtune.chat.protocol.response_protocol import ResponseProtocol
from envtune.chat.template_tools import PROBE, TemplateTools, rendering_of_probe
from envtune.chat.tool_role import NoToolRole, ToolRole, find_tool_role
from envtune.checked import Count, checked
from envtune.errors import UserError
from envtune.task import ToolDocument

log = logging.getLogger(__name__)

_MARK = "\n[... the middle is left out, it is too long ...]\n"
# Characters to encode at first of each end of a text without its middle; at least 8 per remaining token.
_END = 16_384


@dataclass(frozen=True, slots=True)
class _Place:
    """The place of a message behind the template's text."""

    before: str
    """The template's text before it."""
    lead: str
    """Spaces of the template that are encoded with the message, because they are part of its first word."""
    begins: bool
    """Whether the message is encoded like the first text of a conversation."""


@checked
class Template:
    """A chat template in increments of an episode. Stateless.

    Args:
        tokenizer: a ``transformers`` tokenizer with a chat template.
        style: style of the system prompt.
        max_observation_tokens: longer user messages and observations lose their middle; None sets no limit. Tool
            documents do not count. Results in a role of their own share the limit, at least two marks of the cut each.
        protocol: the format of responses.

    Raises:
        UserError: the chat template fails or cannot be continued by appending, the tokenizer adds control tokens to
            plain text, or the limit leaves no room for the mark of the cut.
    """

    def __init__(
        self,
        tokenizer: Any,
        style: PromptStyle = PromptStyle(),
        max_observation_tokens: Count | None = None,
        protocol: ResponseProtocol = PAPERS,
    ) -> None:
        if not isinstance(protocol, ResponseProtocol):
            raise UserError(f"protocol={protocol!r} is not a ResponseProtocol: choose a file of conf/protocol/")
        self._tokenizer, self.style = tokenizer, style
        self.protocol = protocol
        """The format of responses."""
        self.rendering, pieces = read_template(tokenizer, style.thinks)
        """The way in which the tokenizer's chat template renders conversations."""
        documented = rendering_of_probe(self.rendering, pieces.generation) if protocol.is_native else None
        self._text = PlainText(tokenizer, pieces.text + (documented or ""))
        closing = self._closing(pieces.closing)
        self.tool_role = self._find_tool_role(pieces, closing, documented is not None) if protocol.is_native else None
        """The template's own text around results; None if results are user messages."""
        if self.tool_role:
            self._text = PlainText(tokenizer, pieces.text + (documented or "") + self.tool_role.text)
        self._plain, self._segments = self._text.encode, self._text.segments
        self.prefix = self._text.behind_control(pieces.prefix)
        """The beginning of the response that the template writes for the policy, such as ``<think>\\n``."""
        require_response(self.prefix, protocol)
        self.pieces = pieces = replace(pieces, closing=closing, prefix=self.prefix)
        """The template's own text."""
        self._next, system = self._place(closing), self._place(pieces.before_system)
        self._system = replace(system, begins=system.begins or not system.before)
        self._before_system = self._segments.first(system.before)
        # Plain text is encoded with the system prompt, of whose last word its first characters may be part.
        self._is_plain = self._text.control_ids.isdisjoint(self._segments.first(pieces.before_user))
        self._user = self._place(pieces.before_user)
        self._before_user = [] if self._is_plain else self._segments.further(self._user.before)
        self.generation_ids = self._segments.further(pieces.generation)
        """Ids between a user message and the completion."""
        self._response = _Place(pieces.generation, pieces.lead, self._segments.begins_at(pieces.generation))
        end, *self._next_message = self._segments.further(self._next.before)
        others = {tokenizer.eos_token_id} - {None, end}
        self.end_ids = (end, *others, *sorted(self._ids_of_tokens(protocol.end_tokens) - others - {end}))
        """Ids that end a completion: the template's end token, the end-of-text token if it differs, the protocol's."""
        self.tools = (
            TemplateTools(self.rendering, pieces.generation, self._text, self._user.lead) if documented else None
        )
        """The template's rendering of documents; None if they are part of the system message."""
        if protocol.is_native and self.tools is None:
            log.warning("the chat template renders no documents of tools: they stand in the system message")
        self._shown_ids = self._ids_of_tokens(protocol.shown_tokens)
        self._mark = self._plain(_MARK)
        if max_observation_tokens is not None and max_observation_tokens < 2 * len(self._mark):
            raise UserError(
                f"max_observation_tokens is {max_observation_tokens}: with this tokenizer use {2 * len(self._mark)} or "
                "more, or null for no limit"
            )
        self._max_observation_tokens = max_observation_tokens

    def open(self, text: str, tools: Sequence[ToolDocument], further: str = "", room: int | None = None) -> list[int]:
        """Return the ids before the first completion: system prompt and first user message.

        Args:
            text: the user message.
            tools: tools of the system prompt.
            further: text at the end of the system prompt; empty in training.
            room: limit on the ids of each text; None sets no limit.

        Raises:
            TooLong: a text has more than ``room`` ids.
        """
        message = [*self._observation(text, self._user, room), *self.generation_ids]
        if self.tools and tools:
            system = self.style.undocumented_prompt(further, self.protocol)
            return [*self.tools.before_user(system, self.style.native_documents(tools), room), *message]
        prompt = self.style.system_prompt(tools, further, self.protocol)
        system = self._system.lead + prompt + self._user.before * self._is_plain
        return [*self._before_system, *self._plain(system, room, self._system.begins), *self._before_user, *message]

    def append(
        self,
        text: str,
        new_tools: Sequence[ToolDocument] = (),
        room: int | None = None,
        results: Sequence[str] = (),
        behind: str = "",
    ) -> list[int]:
        """Return the ids between the end token of a completion and the next completion.

        Args:
            text: what the model reads in a user message, results included.
            new_tools: documents that precede it.
            room: limit on the ids of each text; None sets no limit.
            results: the results in ``text``. If they have a role of their own, they are its messages, without the
                numbers and names that ``text`` has, and only what is behind them is a user message.
            behind: the part of ``text`` behind the results.

        Raises:
            TooLong: a text has more than ``room`` ids.
        """
        role = self.tool_role
        if not (role and results):
            return [*self._next_message, *self._user_message(text, self._next, new_tools, room)]
        first, following = self._place(role.closing), self._place(role.between)
        places = [first, *[following] * (len(results) - 1)]
        messages = self._results(role, results, places, room)
        ids = [*self._segments.further(first.before)[1:], *messages[0]]
        between = self._segments.further(following.before)
        ids += chain.from_iterable((*between, *message) for message in messages[1:])
        if not (behind or new_tools):
            return [*ids, *self._segments.further(role.generation)]
        place = self._place(role.before_user)
        return [*ids, *self._segments.further(place.before), *self._user_message(behind, place, new_tools, room)]

    def with_note(self, ids: Sequence[int], note: str) -> list[int]:
        """Return the ids before a completion with ``note`` on a line of its own at the end of the last message.

        Raises:
            ValueError: ``ids`` do not end where a completion begins.
        """
        end = len(ids) - len(self.generation_ids)
        if list(ids[end:]) != self.generation_ids:
            raise ValueError("the ids do not end where the template lets a completion begin")
        return [*ids[:end], *self._plain("\n" + note), *self.generation_ids]

    def reply(self, response: str, room: int | None = None) -> list[int]:
        """Return the ids of a response from its text, behind the pre-filled part of it, with end token.

        Raises:
            TooLong: the text has more than ``room`` ids.
        """
        completion = self._response.lead + behind_prefix(self.prefix, response)
        return [*self._plain(completion, room, self._response.begins), self.end_ids[0]]

    def close_clipped(self, completion: Sequence[int]) -> list[int]:
        """Return the template's end token if ``completion`` lacks it, to insert before ``append``.

        A completion lacks it at its length limit or after the end-of-text token.
        """
        return [] if completion and completion[-1] == self.end_ids[0] else [self.end_ids[0]]

    def check_vocabulary(self, size: int) -> None:
        """Raise UserError if a prompt can contain an id outside of a model's ``size`` embeddings."""
        role = self._segments.further(self.tool_role.text) if self.tool_role else []
        before = (*self._before_system, *self._before_user, *self.generation_ids, *role)
        largest = max(self._text.ids.union(before, self._next_message, self.end_ids[:1]))
        if largest >= size:
            raise UserError(
                f"the tokenizer encodes text as ids of up to {largest}, but the model's embedding ends at {size - 1}: "
                "use the tokenizer of the model, or save the model with its embedding resized"
            )

    def decode(self, ids: Sequence[int]) -> str:
        """Return the response: the pre-filled text, and that of sampled ids.

        Control tokens are left out, except those that the protocol reads.
        """
        visible = [id_ for id_ in ids if id_ not in self._text.control_ids or id_ in self._shown_ids]
        text = self._tokenizer.decode(visible, skip_special_tokens=False, clean_up_tokenization_spaces=False)
        return f"{self.prefix}{text}"

    def _place(self, before: str) -> _Place:
        """Return the place of a message behind a piece."""
        kept = before.rstrip(" ")
        return _Place(kept, before.removeprefix(kept), self._segments.begins_at(kept))

    def _user_message(
        self, text: str, place: _Place, new_tools: Sequence[ToolDocument], room: int | None
    ) -> Iterable[int]:
        """Return the ids of a user message behind the place's text, and those before the next completion."""
        documents: list[int] = []
        if new_tools:
            introduced = f"{place.lead}{self.style.handed_over(new_tools, self.protocol)}\n\n"
            documents, place = self._plain(introduced, room, place.begins), _Place(introduced, "", begins=False)
        return (*documents, *self._observation(text, place, room), *self.generation_ids)

    def _results(
        self, role: ToolRole, results: Sequence[str], places: Sequence[_Place], room: int | None
    ) -> list[list[int]]:
        """Return the ids of results; if they are too long together, each in its share of the limit."""
        ids = [
            self._observation(role.written(result), place, room) for result, place in zip(results, places, strict=True)
        ]
        limit = self._max_observation_tokens
        if limit is None or sum(map(len, ids)) <= limit:
            return ids
        share = max(limit // len(ids), 2 * len(self._mark))
        return [each if len(each) <= share else self._joined(each, each, share - len(self._mark)) for each in ids]

    def _observation(self, text: str, place: _Place, room: int | None = None) -> list[int]:
        limit, text, begins = self._max_observation_tokens, place.lead + text, place.begins
        if limit is None:
            return self._plain(text, room, begins)
        kept = limit - len(self._mark)
        length = max(_END, 8 * limit)
        # Encode only the ends, once each has more tokens than may stay: tokens at the cut do not matter then.
        while len(text) > 2 * length:
            head, tail = self._plain(text[:length], begins=begins), self._plain(text[-length:])
            if min(len(head), len(tail)) >= limit:
                return self._joined(head, tail, kept)
            length *= 4
        ids = self._plain(text, begins=begins)
        return ids if len(ids) <= limit else self._joined(ids, ids, kept)

    def _joined(self, head: Sequence[int], tail: Sequence[int], kept: int) -> list[int]:
        return [*head[: kept - kept // 2], *self._mark, *tail[len(tail) - kept // 2 :]]

    def _closing(self, closing: str) -> str:
        """Return the text between completion and next user message, without white space before the end token."""
        for text in (closing, closing.lstrip()):
            if not self._text.control_ids.isdisjoint(self._text.segments.further(text)[:1]):
                return text
        raise UserError(
            f"the chat template closes an assistant message with {closing!r}, which does not begin with a control "
            "token that could end a completion: choose a chat model's tokenizer"
        )

    def _find_tool_role(self, pieces: Pieces, closing: str, renders_tools: bool) -> ToolRole | None:
        """Return the text around results; log a line and return None if the template has none."""
        end = self._tokenizer.decode(self._text.segments.further(closing)[:1])
        try:
            return find_tool_role(self.rendering, pieces, end, [PROBE] if renders_tools else None)
        except NoToolRole as reason:
            log.warning("results of tools are user messages: the chat template has no role for them (%s)", reason)
            return None

    def _ids_of_tokens(self, tokens: Sequence[str]) -> frozenset[int]:
        """Return the ids of the tokens that the vocabulary has."""
        vocabulary = self._tokenizer.get_vocab() if tokens else {}
        return frozenset(vocabulary[token] for token in tokens if token in vocabulary)
