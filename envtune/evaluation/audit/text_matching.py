"""Comparing a text of the ground truth with texts that can be read. Pure: characters only, no meaning."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from datetime import datetime
from difflib import SequenceMatcher

from envtune.evaluation.audit.arithmetic import NUMBER

DATE_FORMS = ("%Y-%m-%d", "%m/%d/%Y")
MONTH_FORMS = ("%m/%Y",)
# fmt: off
ORDINALS = (
    "first", "second", "third", "fourth", "fifth", "sixth",
    "seventh", "eighth", "ninth", "tenth", "eleventh", "twelfth",
)
# fmt: on
# Texts alike to this share of their characters are taken for one text with a change; below it, for two texts.
ALIKE = 0.95


def is_readable(text: str, sources: Sequence[str]) -> bool:
    """True if the text stands in a source, or is a date, a tag or an assembly of what stands there."""
    bare = text[1:] if text[:1] in "#@" else text
    return (
        any(bare in source for source in sources)
        or _is_date_of(text, sources)
        or _is_assembled(text, sources)
        or _is_assembled_file_name(text, sources)
    )


def nearest(text: str, sources: Iterable[str]) -> str | None:
    """The passage of a source that equals ``text`` but for case, spaces, punctuation, order of words or few characters.

    None if there is none, or if the text is a single word, which is too short to be recognised in another.
    """
    words = set(_words(text))
    if len(words) < 2:
        return None
    alike = (source for source in sources if len(words.intersection(_words(source))) >= len(words) / 2)
    passages = [passage for source in alike for passage in _passages(source, text)]
    best = max(passages, key=lambda passage: _likeness(text, passage), default="")
    return best if best and _likeness(text, best) >= ALIKE else None


def quotation(text: str, message: str) -> str | None:
    """What ``message`` has in quotation marks if it is ``text`` with other punctuation; None if it is not, or equal.

    A comma at the end counts as the sentence's own.
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
    """The whole source, and the stretch of it that shares most with ``text``, as long as ``text``."""
    match = SequenceMatcher(None, source, text, autojunk=False).find_longest_match()
    start = max(0, match.a - match.b)
    stretch = source[start : start + len(text)]
    return [source, stretch] if len(source) < 2 * len(text) else [stretch]


def _is_date_of(text: str, sources: Sequence[str]) -> bool:
    """True for a date whose year, month and day (or month and year) are all written in one source, in any form."""
    for form in (*DATE_FORMS, *MONTH_FORMS):
        try:
            date = datetime.strptime(text, form)
        except ValueError:
            continue
        months = {date.strftime("%B").lower(), date.strftime("%b").lower(), str(date.month), f"{date.month:02}"}
        months |= {_ordinal_word(date.month), "christmas"} - {""}
        years = {str(date.year), f"{date.year % 100:02}"}
        return any(_has_date(source.lower(), date.day, months, years, form) for source in sources)
    return False


def _has_date(source: str, day: int, months: set[str], years: set[str], form: str) -> bool:
    words = set(re.findall(r"[a-z]+|\d+", source))
    days = {str(day), f"{day:02}"}
    return bool(words & months and words & years and (form in MONTH_FORMS or words & (days | {"days", "last"})))


def _ordinal_word(number: int) -> str:
    return ORDINALS[number - 1]


def _is_assembled(text: str, sources: Sequence[str]) -> bool:
    """True if the text has several words and is made of numbers, lines and list items that all stand in the sources.

    So filled-in forms (``'Distance: X km'``) and lists of names are recognised, and reworded sentences are not.
    """
    parts = [part for part in re.split(rf"({NUMBER.pattern})|\n|, ", text) if part and part.strip()]
    return " " in text and len(parts) > 1 and all(any(part in source for source in sources) for part in parts)


def _is_assembled_file_name(text: str, sources: Sequence[str]) -> bool:
    """The same for the name of a file, whose parts stand between full stops and numbers."""
    if " " in text or "." not in text:
        return False
    parts = [part for part in re.split(r"(\d+)|\.", text) if part]
    return all(any(part in source for source in sources) for part in parts)
