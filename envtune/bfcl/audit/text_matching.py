"""Comparison of a ground-truth text with readable texts, by characters and not by meaning."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from datetime import datetime
from difflib import SequenceMatcher

from envtune.bfcl.audit.arithmetic import NUMBER

DATE_FORMS = ("%Y-%m-%d", "%m/%d/%Y")
MONTH_FORMS = ("%m/%Y",)
# fmt: off
ORDINALS = (
    "first", "second", "third", "fourth", "fifth", "sixth",
    "seventh", "eighth", "ninth", "tenth", "eleventh", "twelfth",
)
# fmt: on
# Texts with at least this similarity count as one text with a change; below it, as two texts.
ALIKE = 0.95


def is_readable(text: str, sources: Sequence[str]) -> bool:
    """Return True if a source contains the text, or its parts if it is a date, a tag or an assembly of parts."""
    bare = text[1:] if text[:1] in "#@" else text
    return (
        any(bare in source for source in sources)
        or _is_date_of(text, sources)
        or _is_assembled(text, sources)
        or _is_assembled_file_name(text, sources)
    )


def nearest(text: str, sources: Iterable[str]) -> str | None:
    """Return the passage that equals ``text`` except for case, spaces, punctuation, word order or a few characters.

    Returns:
        None if there is no such passage, or if the text is a single word, which is too short to compare.
    """
    words = set(_words(text))
    if len(words) < 2:
        return None
    alike = (source for source in sources if len(words.intersection(_words(source))) >= len(words) / 2)
    passages = [passage for source in alike for passage in _passages(source, text)]
    best = max(passages, key=lambda passage: _likeness(text, passage), default="")
    return best if best and _likeness(text, best) >= ALIKE else None


def quotation(text: str, message: str) -> str | None:
    """Return the quotation in ``message`` that is ``text`` with other punctuation; None if it is equal or absent.

    A comma at the end of a quotation belongs to the sentence around it.
    """
    quoted = [a or b for a, b in re.findall(r"(?<!\w)'((?:[^'\n]|(?<=\w)'(?=\w))+)'|\"([^\"\n]+)\"", message)]
    if text in quoted or not _letters(text):
        return None
    return next((q for q in quoted if _letters(q) == _letters(text) and q.rstrip(",") != text), None)


def _letters(text: str) -> str:
    return re.sub(r"[\W_]", "", text).lower()


def _words(text: str) -> list[str]:
    return re.findall(r"\w+", text.lower())


def _likeness(text: str, passage: str) -> float:
    if sorted(_words(text)) == sorted(_words(passage)):
        return 1.0
    return SequenceMatcher(None, text, passage, autojunk=False).ratio()


def _passages(source: str, text: str) -> list[str]:
    """Return the stretch of a source that shares most with ``text``, at its length; also a short source as a whole."""
    match = SequenceMatcher(None, source, text, autojunk=False).find_longest_match()
    start = max(0, match.a - match.b)
    stretch = source[start : start + len(text)]
    return [source, stretch] if len(source) < 2 * len(text) else [stretch]


def _is_date_of(text: str, sources: Sequence[str]) -> bool:
    """Return True for a date whose year, month and day (or year and month) are all in one source, in any form."""
    for form in (*DATE_FORMS, *MONTH_FORMS):
        try:
            date = datetime.strptime(text, form)
        except ValueError:
            continue
        months = {date.strftime("%B").lower(), date.strftime("%b").lower(), str(date.month), f"{date.month:02}"}
        months |= {ORDINALS[date.month - 1], "christmas"}
        years = {str(date.year), f"{date.year % 100:02}"}
        return any(_has_date(source.lower(), date.day, months, years, form) for source in sources)
    return False


def _has_date(source: str, day: int, months: set[str], years: set[str], form: str) -> bool:
    words = set(re.findall(r"[a-z]+|\d+", source))
    days = {str(day), f"{day:02}"}
    return bool(words & months and words & years and (form in MONTH_FORMS or words & (days | {"days", "last"})))


def _is_assembled(text: str, sources: Sequence[str]) -> bool:
    """Return True if the text has several words and consists of numbers, lines and list items from the sources.

    This matches completed forms (``'Distance: X km'``) and lists of names, and does not match reworded sentences.
    """
    parts = [part for part in re.split(rf"({NUMBER.pattern})|\n|, ", text) if part and part.strip()]
    return " " in text and len(parts) > 1 and all(any(part in source for source in sources) for part in parts)


def _is_assembled_file_name(text: str, sources: Sequence[str]) -> bool:
    """Return True for a file name whose parts, separated by full stops and numbers, are all in the sources."""
    if " " in text or "." not in text:
        return False
    parts = [part for part in re.split(r"(\d+)|\.", text) if part]
    return all(any(part in source for source in sources) for part in parts)
