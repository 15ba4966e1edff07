"""Encodes messages with a tokenizer's chat template, piece by piece, so that no text is tokenised again.

The template is rendered once, with placeholders for the messages; episodes append the text between them. Sampled ids
stay as they are. Observations are ``user`` messages, since every template supports that role; in native protocols,
results are ``tool`` messages and the template renders the documents, if it can. Only the template's own text becomes
control tokens; all other text is encoded by ``PlainText``.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from itertools import chain
from typing import Any

from envtune.chat.pieces import render_pieces
from envtune.chat.plain_text import PlainText, encode
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
        self._tokenizer, self._style = tokenizer, style
        self.protocol = protocol
        """The format of responses."""
        self.pieces = pieces = render_pieces(tokenizer)
        """The template's own text, without that of tools."""
        documented = rendering_of_probe(tokenizer, pieces.generation) if protocol.is_native else None
        self.tool_role = self._find_tool_role(documented is not None) if protocol.is_native else None
        """The template's own text around results; None if results are user messages."""
        own_text = [pieces.text, documented or "", self.tool_role.text if self.tool_role else ""]
        self._text = PlainText(tokenizer, "".join(own_text))
        self._plain = self._text.encode
        self._before_system, self._before_user = self._control(pieces.before_system), self._control(pieces.before_user)
        self.generation_ids = self._control(pieces.generation)
        """Ids between a user message and the completion."""
        self.end_ids, self._next_message = self._split_closing(pieces.closing)
        """Ids that end a completion: the end token of the template, then the end-of-text token if it differs."""
        self._tools = TemplateTools(tokenizer, pieces.generation, self._text) if documented else None
        if protocol.is_native and self._tools is None:
            log.warning("the chat template renders no documents of tools: they stand in the system message")
        self._shown_ids = self._ids_of_tokens(protocol.shown_tokens)
        self._role_ids = self._ids_of(self.tool_role) if self.tool_role else ()
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
        observation = [*self._observation(text, room), *self.generation_ids]
        if self._tools and tools:
            system_text = self._style.undocumented_prompt(further, self.protocol)
            documents = self._style.native_documents(tools)
            return [*self._tools.before_user(system_text, documents, room), *observation]
        system = self._plain(self._style.system_prompt(tools, further, self.protocol), room)
        return [*self._before_system, *system, *self._before_user, *observation]

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
        documents = self._style.handed_over(new_tools, self.protocol) + "\n\n"
        added = self._plain(documents, room) if new_tools else []
        if not (self.tool_role and results):
            return [*self._next_message, *added, *self._observation(text, room), *self.generation_ids]
        closing, between, generation, before_user = self._role_ids
        messages = self._results(self.tool_role, results, room)
        ids = [*closing, *messages[0], *chain.from_iterable((*between, *message) for message in messages[1:])]
        if not (behind or new_tools):
            return [*ids, *generation]
        return [*ids, *before_user, *added, *self._observation(behind, room), *self.generation_ids]

    def with_note(self, ids: Sequence[int], note: str) -> list[int]:
        """Return the ids before a completion with ``note`` on a line of its own at the end of the last message.

        Raises:
            ValueError: ``ids`` do not end where a completion begins.
        """
        end = len(ids) - len(self.generation_ids)
        if list(ids[end:]) != self.generation_ids:
            raise ValueError("the ids do not end where the template lets a completion begin")
        return [*ids[:end], *self._plain("\n" + note), *self.generation_ids]

    def reply(self, completion: str, room: int | None = None) -> list[int]:
        """Return the ids of a completion from its text, with end token.

        Raises:
            TooLong: the text has more than ``room`` ids.
        """
        return [*self._plain(completion, room), self.end_ids[0]]

    def close_clipped(self, completion: Sequence[int]) -> list[int]:
        """Return the template's end token if ``completion`` lacks it, to insert before ``append``.

        A completion lacks it at its length limit or after the end-of-text token.
        """
        return [] if completion and completion[-1] == self.end_ids[0] else [self.end_ids[0]]

    def check_vocabulary(self, size: int) -> None:
        """Raise UserError if a prompt can contain an id outside of a model's ``size`` embeddings."""
        before = (*self._before_system, *self._before_user, *self.generation_ids, *chain(*self._role_ids))
        largest = max(self._text.ids.union(before, self._next_message, self.end_ids[:1]))
        if largest >= size:
            raise UserError(
                f"the tokenizer encodes text as ids of up to {largest}, but the model's embedding ends at {size - 1}: "
                "use the tokenizer of the model, or save the model with its embedding resized"
            )

    def decode(self, ids: Sequence[int]) -> str:
        """Return the text of sampled ids without control tokens, except those that the protocol reads."""
        visible = [id_ for id_ in ids if id_ not in self._text.control_ids or id_ in self._shown_ids]
        return str(self._tokenizer.decode(visible, skip_special_tokens=False, clean_up_tokenization_spaces=False))

    def _control(self, text: str) -> list[int]:
        return encode(self._tokenizer, text)

    def _observation(self, text: str, room: int | None = None) -> list[int]:
        limit = self._max_observation_tokens
        if limit is None:
            return self._plain(text, room)
        kept = limit - len(self._mark)
        length = max(_END, 8 * limit)
        # Encode only the ends, once each has more tokens than may stay: tokens at the cut do not matter then.
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
                f"the chat template closes an assistant message with {closing!r}, which does not begin with a control "
                "token that could end a completion: choose a chat model's tokenizer"
            )
        others = {self._tokenizer.eos_token_id} - {None, ids[0]}
        further = self._ids_of_tokens(self.protocol.end_tokens) - others - {ids[0]}
        return (ids[0], *others, *sorted(further)), ids[1:]

    def _ids_of_tokens(self, tokens: Sequence[str]) -> frozenset[int]:
        """Return the ids of the tokens that the vocabulary has."""
        vocabulary = self._tokenizer.get_vocab() if tokens else {}
        return frozenset(vocabulary[token] for token in tokens if token in vocabulary)

    def _find_tool_role(self, renders_tools: bool) -> ToolRole | None:
        """Return the text around results; log a line and return None if the template has none."""
        end = encode(self._tokenizer, self.pieces.closing)[:1]
        tools = [PROBE] if renders_tools else None
        try:
            return find_tool_role(self._tokenizer, self.pieces, self._tokenizer.decode(end), tools)
        except NoToolRole as reason:
            log.warning("results of tools are user messages: the chat template has no role for them (%s)", reason)
            return None

    def _ids_of(self, role: ToolRole) -> tuple[list[int], ...]:
        """Return the ids of closing, without its end token, between, generation and before_user."""
        closing, *others = map(self._control, (role.closing, role.between, role.generation, role.before_user))
        return closing[1:], *others

    def _results(self, role: ToolRole, results: Sequence[str], room: int | None) -> list[list[int]]:
        """Return the ids of results; if they are too long together, each in its share of the limit."""
        texts = [role.written(result) for result in results]
        ids = [self._observation(text, room) for text in texts]
        limit = self._max_observation_tokens
        if limit is None or sum(map(len, ids)) <= limit:
            return ids
        share = max(limit // len(ids), 2 * len(self._mark))
        return [each if len(each) <= share else self._joined(each, each, share - len(self._mark)) for each in ids]
