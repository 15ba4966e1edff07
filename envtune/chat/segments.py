"""Encodes the texts of a conversation one by one, to the ids that they have where the whole is encoded in one go.

Tokenizers of SentencePiece's kind insert ``▁`` at the beginning of a text, and some of them behind every control token:
encoded one by one, every message would get one.
"""

from __future__ import annotations

import json
from typing import Any

from tokenizers import Tokenizer


class Segments:
    """Encodes a text by its place in a conversation.

    Args:
        tokenizer: a ``transformers`` tokenizer.
    """

    def __init__(self, tokenizer: Any) -> None:
        self._tokenizer = tokenizer
        # The unknown token also stands for characters inside a text.
        self._added = frozenset(tokenizer.added_tokens_decoder) - {tokenizer.unk_token_id}
        self._inserts_nothing = _without_insertion(tokenizer)
        self._inserts_behind_tokens = self._insertion_behind_tokens()

    def first(self, text: str) -> list[int]:
        """Return the ids of a text with which a conversation begins."""
        return list(self._tokenizer.encode(text, add_special_tokens=False, verbose=False))

    def further(self, text: str) -> list[int]:
        """Return the ids of a text that follows a character of another one."""
        if self._inserts_nothing is None:
            return self.first(text)
        encoding = self._inserts_nothing.encode(text, add_special_tokens=False)
        token = next((place for place, id_ in enumerate(encoding.ids) if id_ in self._added), None)
        if token is None:
            return list(encoding.ids)
        # From its first control token on, a text is encoded as elsewhere.
        return [*encoding.ids[:token], *self.first(text[encoding.offsets[token][0] :])]

    def begins_at(self, before: str) -> bool:
        """Return True if a text behind the template's ``before`` is encoded like the first one of a conversation."""
        return self._inserts_behind_tokens and not self._added.isdisjoint(self.first(before)[-1:])

    def _insertion_behind_tokens(self) -> bool:
        """Return True if the tokenizer inserts a character behind a control token."""
        if self._inserts_nothing is None:
            return False
        tokens = self._tokenizer.added_tokens_decoder
        token = next((str(tokens[id_].content) for id_ in sorted(self._added) if tokens[id_].special), None)
        return token is not None and self.first(f"{token}a") != [*self.first(token), *self.further("a")]


def _without_insertion(tokenizer: Any) -> Tokenizer | None:
    """Return a copy that inserts nothing at the beginning of a text; None if the tokenizer itself inserts nothing."""
    backend = getattr(tokenizer, "backend_tokenizer", None)
    if backend is None:
        return None
    parts = (backend.normalizer, backend.pre_tokenizer)
    states = [part and json.loads(part.__getstate__()) for part in parts]
    normalizer, pre_tokenizer = map(_stripped, states)
    if [normalizer, pre_tokenizer] == states:
        return None
    whole = json.loads(backend.to_str()) | {"truncation": None, "padding": None}
    return Tokenizer.from_str(json.dumps(whole | {"normalizer": normalizer, "pre_tokenizer": pre_tokenizer}))


def _stripped(part: Any) -> Any:
    """Return the state of a normalizer or pre-tokenizer without what it inserts at the beginning; None for nothing."""
    if not isinstance(part, dict) or part.get("type") == "Prepend":
        return None
    state = dict(part)
    for name, value in {"prepend_scheme": "never", "add_prefix_space": False}.items():
        if name in state:
            state[name] = value
    for name in ("normalizers", "pretokenizers"):
        if name in state:
            state[name] = [kept for kept in map(_stripped, state[name]) if kept is not None]
    return state
