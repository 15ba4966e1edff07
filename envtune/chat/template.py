"""Encodes messages with a tokenizer's chat template, piece by piece, so that no text is tokenised again.

The template is rendered once, with placeholders for the messages; episodes append the text between them. Sampled ids
stay as they are, also where the template would rewrite them (envtune/chat/trained_conversation.py). Observations are
``user`` messages, since every template supports that role. Only the template's own text becomes control tokens; all
other text is encoded by ``PlainText``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from envtune.chat.pieces import read_template
from envtune.chat.plain_text import PlainText
from envtune.chat.prefilled import behind_prefix, require_response
from envtune.chat.prompt import PromptStyle
from envtune.checked import Count, checked
from envtune.errors import UserError
from envtune.task import ToolDocument

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
            documents do not count.

    Raises:
        UserError: the chat template fails or cannot be continued by appending, the tokenizer adds control tokens to
            plain text, or the limit leaves no room for the mark of the cut.
    """

    def __init__(
        self,
        tokenizer: Any,
        style: PromptStyle = PromptStyle(),
        max_observation_tokens: Count | None = None,
    ) -> None:
        self._tokenizer, self.style = tokenizer, style
        self.rendering, pieces = read_template(tokenizer, style.thinks)
        """The way in which the tokenizer's chat template renders conversations."""
        self._text = PlainText(tokenizer, pieces.text)
        self._plain, self._segments = self._text.encode, self._text.segments
        self.prefix = self._text.behind_control(pieces.prefix)
        """The beginning of the response that the template writes for the policy, such as ``<think>\\n``."""
        require_response(self.prefix)
        closing = self._closing(pieces.closing)
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
        self.end_ids = (end, *{tokenizer.eos_token_id} - {None, end})
        """Ids that end a completion: the end token of the template, then the end-of-text token if it differs."""
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
        system = self._system.lead + self.style.system_prompt(tools, further) + self._user.before * self._is_plain
        ids = [*self._before_system, *self._plain(system, room, self._system.begins), *self._before_user]
        return [*ids, *self._observation(text, self._user, room), *self.generation_ids]

    def append(self, text: str, new_tools: Sequence[ToolDocument] = (), room: int | None = None) -> list[int]:
        """Return the ids between the end token of a completion and the next completion: new documents and ``text``.

        Raises:
            TooLong: a text has more than ``room`` ids.
        """
        documents, place = [], self._next
        if new_tools:
            introduced = f"{place.lead}{self.style.handed_over(new_tools)}\n\n"
            documents, place = self._plain(introduced, room, place.begins), _Place(introduced, "", begins=False)
        return [*self._next_message, *documents, *self._observation(text, place, room), *self.generation_ids]

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
        before = (*self._before_system, *self._before_user, *self.generation_ids)
        largest = max(self._text.ids.union(before, self._next_message, self.end_ids[:1]))
        if largest >= size:
            raise UserError(
                f"the tokenizer encodes text as ids of up to {largest}, but the model's embedding ends at {size - 1}: "
                "use the tokenizer of the model, or save the model with its embedding resized"
            )

    def decode(self, ids: Sequence[int]) -> str:
        """Return the response: the pre-filled text, and that of sampled ids without control tokens.

        The protocol's tags are never control tokens.
        """
        visible = [id_ for id_ in ids if id_ not in self._text.control_ids]
        text = self._tokenizer.decode(visible, skip_special_tokens=False, clean_up_tokenization_spaces=False)
        return f"{self.prefix}{text}"

    def _place(self, before: str) -> _Place:
        """Return the place of a message behind a piece."""
        kept = before.rstrip(" ")
        return _Place(kept, before.removeprefix(kept), self._segments.begins_at(kept))

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
            if not self._text.control_ids.isdisjoint(self._segments.further(text)[:1]):
                return text
        raise UserError(
            f"the chat template closes an assistant message with {closing!r}, which does not begin with a control "
            "token that could end a completion: choose a chat model's tokenizer"
        )
