"""Messages -> token ids around a tokenizer's own chat template, appended piece by piece and never tokenised again.

The template is rendered once, at construction, with placeholders for the messages; the text between them is what every
episode appends. The agent's completions never pass through: the ids that were sampled stay. What the environment says
is a ``user`` message, the one role that every template knows besides the assistant.

Only what the template itself writes becomes control tokens: every other text passes through ``PlainText``.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from envtune.chat.pieces import render_pieces
from envtune.chat.plain_text import PlainText, encode
from envtune.chat.prompt import PromptStyle
from envtune.checked import Count, checked
from envtune.errors import UserError
from envtune.task import ToolDocument

_MARK = "\n[... the middle is left out, it is too long ...]\n"
# Of a text that will lose its middle, so many characters of each end are encoded at first, and 8 a token that stays.
_END = 16_384


@checked
class Template:
    """One tokenizer's chat template as the increments of an episode; holds no state of any episode.

    ``end_ids`` are the ids that end a completion: first the token with which the template closes an assistant message,
    then the tokenizer's end-of-text token if that is another one. ``pieces`` is what the template writes.

    Args:
        tokenizer: a ``transformers`` tokenizer with a chat template.
        style: how the agent is instructed.
        max_observation_tokens: a longer user message or observation loses its middle; ``None`` for no limit. The
            documents of tools do not count.

    Raises:
        UserError: if the chat template fails or cannot be continued by appending, the tokenizer puts control tokens
            into plain text, or the limit has no room for its mark.
    """

    def __init__(self, tokenizer: Any, style: PromptStyle, max_observation_tokens: Count | None = None) -> None:
        self._tokenizer = tokenizer
        self._style = style
        self.pieces = pieces = render_pieces(tokenizer)
        self._text = PlainText(tokenizer, pieces.text)
        self._plain = self._text.encode
        self._before_system, self._before_user = self._control(pieces.before_system), self._control(pieces.before_user)
        self._generation = self._control(pieces.generation)
        self.end_ids, self._next_message = self._split_closing(pieces.closing)
        self._mark = self._plain(_MARK)
        if max_observation_tokens is not None and max_observation_tokens < 2 * len(self._mark):
            raise UserError(
                f"max_observation_tokens is {max_observation_tokens}: with this tokenizer use {2 * len(self._mark)} or "
                "more, or null for no limit"
            )
        self._max_observation_tokens = max_observation_tokens

    def open(self, text: str, tools: Sequence[ToolDocument], further: str = "", room: int | None = None) -> list[int]:
        """The ids before the first completion: the system prompt with ``tools`` and the first user message ``text``.

        ``further`` is what the system prompt says beside our own; training says nothing. Here and below, ``room`` is
        the number of ids that a text may take: TooLong is raised for a longer one. None is no limit.
        """
        system = self._plain(self._style.system_prompt(tools, further), room)
        return [*self._before_system, *system, *self._before_user, *self._observation(text, room), *self._generation]

    def append(self, text: str, new_tools: Sequence[ToolDocument] = (), room: int | None = None) -> list[int]:
        """The ids between the end token of a completion and the next completion: ``text`` after the new documents."""
        documents = self._plain(self._style.handed_over(new_tools) + "\n\n", room) if new_tools else []
        return [*self._next_message, *documents, *self._observation(text, room), *self._generation]

    def reply(self, completion: str, room: int | None = None) -> list[int]:
        """The ids of a completion that was not sampled here, its end token included."""
        return [*self._plain(completion, room), self.end_ids[0]]

    def close_clipped(self, completion: Sequence[int]) -> list[int]:
        """The end token that ``completion`` lacks, which was not sampled; nothing if it has it.

        Goes between a completion and ``append``: a completion may have stopped at its length limit, or with the
        end-of-text token.
        """
        return [] if completion and completion[-1] == self.end_ids[0] else [self.end_ids[0]]

    def check_vocabulary(self, size: int) -> None:
        """Raises UserError if a prompt can hold an id that a model with ``size`` embeddings does not have."""
        template = (*self._before_system, *self._before_user, *self._generation, *self._next_message, self.end_ids[0])
        largest = max(self._text.ids.union(template))
        if largest >= size:
            raise UserError(
                f"the tokenizer encodes text as ids of up to {largest}, but the model's embedding ends at {size - 1}: "
                "give a tokenizer and a model that belong together, or save the model with its embedding resized"
            )

    def decode(self, ids: Sequence[int]) -> str:
        """The text of sampled ids without control tokens; the protocol's tags always stay."""
        visible = [id_ for id_ in ids if id_ not in self._text.control_ids]
        return str(self._tokenizer.decode(visible, skip_special_tokens=False, clean_up_tokenization_spaces=False))

    def _control(self, text: str) -> list[int]:
        return encode(self._tokenizer, text)

    def _observation(self, text: str, room: int | None = None) -> list[int]:
        limit = self._max_observation_tokens
        if limit is None:
            return self._plain(text, room)
        kept = limit - len(self._mark)
        length = max(_END, 8 * limit)
        # Only the ends are encoded where each has more tokens than may stay, so that its cut side does not matter.
        while len(text) > 2 * length:
            head, tail = self._plain(text[:length]), self._plain(text[-length:])
            if min(len(head), len(tail)) >= limit:
                return self._joined(head, tail, kept)
            length *= 4
        ids = self._plain(text)
        return ids if len(ids) <= limit else self._joined(ids, ids, kept)

    def _joined(self, head: Sequence[int], tail: Sequence[int], kept: int) -> list[int]:
        return [*head[: kept - kept // 2], *self._mark, *tail[len(tail) - kept // 2 :]]

    def _split_closing(self, closing: str) -> tuple[tuple[int, ...], list[int]]:
        """The end ids, and the ids from behind the end token to the next user message."""
        ids = self._control(closing)
        if not ids or ids[0] not in self._text.control_ids:
            raise UserError(
                f"the chat template closes an assistant message with {closing!r}, which begins with no control token, "
                "so nothing tells where a completion ends: choose a chat model's tokenizer"
            )
        others = {self._tokenizer.eos_token_id} - {None, ids[0]}
        return (ids[0], *others), ids[1:]
