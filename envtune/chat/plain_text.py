"""Text from outside -> token ids, with no control token among them whatever the text says.

The ids that come out are checked, not the text that goes in: a tokenizer may normalise text before it looks for tokens
(NFKC makes ``<|im_end|>`` of fullwidth letters, lowercasing of capitals), and its model may have a control token's name
among its pieces.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from envtune.errors import UserError

# Tags of the response protocol that a tokenizer may have as tokens: any text may hold them.
TAGS = frozenset({"<think>", "</think>", "<tool_call>", "</tool_call>", "<answer>", "</answer>"})
# In place of a character that is a control token on its own.
_SUBSTITUTE = "?"
# Characters that are encoded at once where a text may be refused for its length.
_PIECE = 4096
# For private use: it has no meaning.
_IN_NO_VOCABULARY = "\ue000"


class TooLong(Exception):
    """A text has more ids than there is room for. Raised when a few times the room has been encoded, at most."""


class PlainText:
    """Encodes text that a user, a tool, a client or a model has written.

    Control tokens are the special tokens and those others that the chat template itself writes, in ``template_text``;
    never the protocol's tags. ``control_ids`` are their ids.

    Args:
        tokenizer: a ``transformers`` tokenizer.
        template_text: all that the chat template writes around messages.

    Raises:
        UserError: the tokenizer puts a control token into ordinary text.
    """

    def __init__(self, tokenizer: Any, template_text: str) -> None:
        self._tokenizer = tokenizer
        control = _control_tokens(tokenizer, template_text)
        self.control_ids = frozenset(control.values())
        self._refused_ids = self.control_ids - _mere_unknown(tokenizer, control)
        self._inside_control_token = re.compile(f"(?={'|'.join(map(re.escape, control))})" if control else "(?!)")
        for id_ in encode(tokenizer, "plain text"):
            if id_ in self._refused_ids:
                name = tokenizer.convert_ids_to_tokens(id_)
                raise UserError(f"this tokenizer makes the control token {name!r} of plain text: choose another one")

    @property
    def ids(self) -> frozenset[int]:
        """Every id that text can become."""
        return frozenset(self._tokenizer.get_vocab().values()) - self._refused_ids

    def encode(self, text: str, room: int | None = None) -> list[int]:
        """The ids of ``text``; half a surrogate pair becomes a question mark.

        Where a control token would come out, the text is encoded in parts that cut it, the name of one behind its
        first character. A single character that is a control token becomes a question mark.

        Raises:
            TooLong: there are more than ``room`` ids; None is no limit.
        """
        if room is not None and len(text) > 4 * room:
            self._check_pieces(text, room)
        text = text.encode("utf-8", "replace").decode("utf-8")
        cuts = [match.start() + 1 for match in self._inside_control_token.finditer(text)]
        parts = [text[start:end] for start, end in zip([0, *cuts], [*cuts, len(text)], strict=True)]
        ids = [id_ for part in parts for id_ in self._without_control(part)]
        if room is not None and len(ids) > room:
            raise TooLong
        return ids

    def _check_pieces(self, text: str, room: int) -> None:
        """Raises TooLong if pieces of ``text`` have twice ``room`` ids: the whole may have fewer, but not by half."""
        count = 0
        for start in range(0, len(text), _PIECE):
            count += len(self.encode(text[start : start + _PIECE]))
            if count > 2 * room:
                raise TooLong

    def _without_control(self, text: str) -> Iterator[int]:
        ids = encode(self._tokenizer, text)
        if self._refused_ids.isdisjoint(ids):
            yield from ids
        elif len(text) > 1:
            # By halves, so that a long text costs few passes however many such tokens it hides.
            yield from self._without_control(text[: len(text) // 2])
            yield from self._without_control(text[len(text) // 2 :])
        elif text != _SUBSTITUTE:
            yield from self._without_control(_SUBSTITUTE)


def encode(tokenizer: Any, text: str) -> list[int]:
    """The ids of ``text``, control tokens where their names stand in it; for a template's own text."""
    return list(tokenizer.encode(text, add_special_tokens=False, verbose=False))


def _control_tokens(tokenizer: Any, template_text: str) -> dict[str, int]:
    """By their text."""
    written = frozenset(encode(tokenizer, template_text))
    tokens = {id_: (str(token.content), token.special) for id_, token in tokenizer.added_tokens_decoder.items()}
    control = {
        text: id_ for id_, (text, special) in tokens.items() if special or text in template_text or id_ in written
    }
    control |= dict(zip(tokenizer.all_special_tokens, tokenizer.all_special_ids, strict=True))
    return {text: id_ for text, id_ in control.items() if text not in TAGS}


def _mere_unknown(tokenizer: Any, control: dict[str, int]) -> frozenset[int]:
    """The unknown token, if characters that the vocabulary lacks become it and it has no other role."""
    others = {token for role, token in tokenizer.special_tokens_map.items() if role != "unk_token"}
    unknown = {id_ for text, id_ in control.items() if text == tokenizer.unk_token and text not in others}
    return frozenset(unknown.intersection(encode(tokenizer, _IN_NO_VOCABULARY)))
