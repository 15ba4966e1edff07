"""Encodes untrusted text as token ids that never contain control tokens.

The check applies to the ids, not to the text: a tokenizer may normalise text before it searches for tokens (NFKC turns
fullwidth letters into ``<|im_end|>``, lowercasing capitals), and its vocabulary may contain a control token's name.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from envtune.chat.segments import Segments
from envtune.errors import UserError

# Tags of the response protocol, which may be tokens of the vocabulary and are allowed in any text.
TAGS = frozenset({"<think>", "</think>", "<tool_call>", "</tool_call>", "<answer>", "</answer>"})
# Replaces a single character that is encoded as a control token.
_SUBSTITUTE = "?"
# Characters per step when the length of a text is checked.
_PIECE = 4096
# A private-use character, which no vocabulary contains.
_IN_NO_VOCABULARY = "\ue000"


class TooLong(Exception):
    """A text has more ids than allowed. Raised after encoding at most a few times the allowed number."""


class PlainText:
    """Encodes text of users, tools, clients and models.

    Control tokens are the special tokens and all tokens that the chat template writes, except the protocol's tags.

    Args:
        tokenizer: a ``transformers`` tokenizer.
        template_text: the text that the chat template writes around messages.

    Raises:
        UserError: the tokenizer adds control tokens to ordinary text.
    """

    def __init__(self, tokenizer: Any, template_text: str) -> None:
        self._tokenizer, self.segments = tokenizer, Segments(tokenizer)
        """Encodes trusted text."""
        control = _control_tokens(tokenizer, frozenset(self.segments.first(template_text)), template_text)
        self.control_ids = frozenset(control.values())
        """Ids of the control tokens."""
        # Characters outside the vocabulary may become the unknown token, unless it has another role.
        others = {token for role, token in tokenizer.special_tokens_map.items() if role != "unk_token"}
        unknown = {id_ for text, id_ in control.items() if text == tokenizer.unk_token and text not in others}
        self._refused_ids = self.control_ids - unknown.intersection(self.segments.first(_IN_NO_VOCABULARY))
        self._names = tuple(control)
        self._inside_control_token = re.compile(f"(?={'|'.join(map(re.escape, control))})" if control else "(?!)")
        for id_ in self.segments.first("plain text"):
            if id_ in self._refused_ids:
                name = tokenizer.convert_ids_to_tokens(id_)
                raise UserError(f"this tokenizer encodes plain text as the control token {name!r}: choose another one")

    @property
    def ids(self) -> frozenset[int]:
        """All ids that text can be encoded as."""
        return frozenset(self._tokenizer.get_vocab().values()) - self._refused_ids

    def behind_control(self, text: str) -> str:
        """Return the end of the template's text behind the last control token in it."""
        return text[max((text.rfind(name) + len(name) for name in self._names if name in text), default=0) :]

    def encode(self, text: str, room: int | None = None, begins: bool = False) -> list[int]:
        """Return the ids of ``text``, with question marks for unpaired surrogates.

        A name of a control token is split after its first character, and text that is still encoded as a control token
        is halved until it is not. A single character that is encoded as a control token becomes a question mark.

        Args:
            text: untrusted text.
            room: limit on the number of ids; None sets no limit.
            begins: whether the text is encoded like the first one of a conversation (``Segments.begins_at``).

        Raises:
            TooLong: the text has more than ``room`` ids.
        """
        if room is not None and len(text) > 4 * room:
            self._check_pieces(text, room)
        text = text.encode("utf-8", "replace").decode("utf-8")
        cuts = [match.start() + 1 for match in self._inside_control_token.finditer(text)]
        parts = [text[start:end] for start, end in zip([0, *cuts], [*cuts, len(text)], strict=True)]
        ids = [id_ for place, part in enumerate(parts) for id_ in self._without_control(part, begins and not place)]
        if room is not None and len(ids) > room:
            raise TooLong
        return ids

    def _check_pieces(self, text: str, room: int) -> None:
        """Raise TooLong if pieces of ``text`` have more than 2 ``room`` ids: the whole has at least half as many."""
        count = 0
        for start in range(0, len(text), _PIECE):
            count += len(self.encode(text[start : start + _PIECE]))
            if count > 2 * room:
                raise TooLong

    def _without_control(self, text: str, begins: bool) -> Iterator[int]:
        ids = self.segments.first(text) if begins else self.segments.further(text)
        if self._refused_ids.isdisjoint(ids):
            yield from ids
        elif len(text) > 1:
            # Halves bound the number of passes over a long text with many hidden control tokens.
            yield from self._without_control(text[: len(text) // 2], begins)
            yield from self._without_control(text[len(text) // 2 :], False)
        elif text != _SUBSTITUTE:
            yield from self._without_control(_SUBSTITUTE, begins)


def _control_tokens(tokenizer: Any, written: frozenset[int], template_text: str) -> dict[str, int]:
    """Return the ids of control tokens by their text; ``written`` are the ids of the template's text."""
    tokens = {id_: (str(token.content), token.special) for id_, token in tokenizer.added_tokens_decoder.items()}
    control = {
        text: id_ for id_, (text, special) in tokens.items() if special or text in template_text or id_ in written
    }
    control |= dict(zip(tokenizer.all_special_tokens, tokenizer.all_special_ids, strict=True))
    return {text: id_ for text, id_ in control.items() if text not in TAGS}
