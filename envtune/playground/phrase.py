"""What users say: phrases made of patterns, with patterns of their own for each split.

A pattern is a text such as ``[Move|Put] '{file}' into '{folder}'.``: one alternative of each bracket is drawn, then the
slots in braces are filled. Phrases are read from ``phrases/<name>.json``: one file per tool class, and
``conversation.json`` for what stands around the requests. Which calls answer a phrase is defined by the storylines. The
order of the patterns is part of a task, because a seed draws by position.
"""

from __future__ import annotations

import random
import re
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from typing import Annotated, Any

from pydantic import AfterValidator, ConfigDict, Field, TypeAdapter, ValidationError, model_validator
from pydantic.dataclasses import dataclass

from envtune.errors import UserError
from envtune.task import Split

_BRACKETS = re.compile(r"[^][]*(\[[^][]*][^][]*)*")
_NUMBER = re.compile(r"(?<![\w.])-?\d+(?:\.\d+)?(?![\w]|\.\d)")
_SLOTS = re.compile(r"[^{}]*(\{\w+}[^{}]*)*")


def _well_formed(pattern: str) -> str:
    """Return the pattern; raise ValueError if its brackets or braces do not match."""
    if not _BRACKETS.fullmatch(pattern) or not _SLOTS.fullmatch(pattern):
        raise ValueError("[ and ] must enclose alternatives, { and } a slot's name, and neither can be nested")
    return pattern


Patterns = Annotated[tuple[Annotated[str, AfterValidator(_well_formed)], ...], Field(min_length=1)]
_STRICT = ConfigDict(extra="forbid")


@dataclass(frozen=True, slots=True, kw_only=True, config=_STRICT)
class Wording:
    """The patterns of each split. No two splits can produce the same text."""

    train: Patterns
    val: Patterns
    test: Patterns

    def of(self, split: Split) -> tuple[str, ...]:
        """Return the patterns of one split."""
        return {Split.TRAIN: self.train, Split.VAL: self.val, Split.TEST: self.test}[split]

    @property
    def all_patterns(self) -> tuple[str, ...]:
        """Return the patterns of the three splits together."""
        return self.train + self.val + self.test

    def say(self, split: Split, rng: random.Random, slots: Mapping[str, Any]) -> str:
        """Draw a pattern of the split and its alternatives, and fill the slots."""
        parts = _parts(rng.choice(self.of(split)))
        text = "".join(part[0] if len(part) == 1 else rng.choice(part) for part in parts)
        return text.format_map({name: said(value) for name, value in slots.items()})


@dataclass(frozen=True, slots=True, kw_only=True, config=_STRICT)
class Gap(Wording):
    """How a phrase is worded without the value of one slot."""

    slot: str
    what: str
    """What the user calls the value when supplying it in the next turn."""


@dataclass(frozen=True, slots=True, kw_only=True, config=_STRICT)
class Phrase(Wording):
    """One request in one or two sentences."""

    gap: Gap | None = None
    """The wording without one value; None if all values are needed to understand the request."""

    @model_validator(mode="after")
    def _check_gap(self) -> Phrase:
        if self.gap is not None:
            slot = f"{{{self.gap.slot}}}"
            patterns, without = self.all_patterns, self.gap.all_patterns
            if not all(slot in text for text in patterns) or any(slot in text for text in without):
                raise ValueError(f"{slot} must be in every pattern of the phrase and in none of its gap's")
        return self


_FILE = TypeAdapter(dict[str, Phrase])


def read_phrases(name: str) -> Mapping[str, Phrase]:
    """Return the phrases of ``phrases/<name>.json`` by their names.

    Raises:
        UserError: the file does not exist, or an entry is not a valid phrase.
    """
    path = files("envtune.playground").joinpath("phrases", f"{name}.json")
    try:
        return _FILE.validate_json(path.read_bytes())
    except OSError as error:
        raise UserError(f"{path} cannot be read ({error}): reinstall the package") from None
    except ValidationError as error:
        fault = error.errors()[0]
        place = ".".join(map(str, fault["loc"])) or "the file"
        raise UserError(f"{path}: {place} is not valid: {fault['msg']}") from None


def said(value: Any) -> str:
    """Return a value as users write it: whole numbers without a point, a list with "and" before its last item."""
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    if isinstance(value, list):
        items = [said(item) for item in value]
        return items[0] if len(items) == 1 else f"{', '.join(items[:-1])} and {items[-1]}"
    return str(value)


def quoted(value: Any) -> str:
    """Return a text in quotation marks, and any other value as ``said`` does."""
    return f"'{value}'" if isinstance(value, str) else said(value)


def stands_in(value: Any, text: str) -> bool:
    """Return True if a text contains the value as a whole: a text literally, a number in any notation."""
    if isinstance(value, str):
        return re.search(rf"(?<!\w){re.escape(value)}(?!\w)", text) is not None
    return any(float(number) == value for number in _NUMBER.findall(text))


@cache
def _parts(pattern: str) -> tuple[tuple[str, ...], ...]:
    """Split a pattern into its pieces, each with its alternatives."""
    return tuple(tuple(part.split("|")) for part in re.split(r"[\[\]]", pattern))
