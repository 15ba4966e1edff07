"""Findings on values in ground-truth calls that the agent cannot read anywhere, or reads differently.

A value is examined only if the verdict depends on it: if the ground truth also passes with another value in its place,
such as another text of a message to customer support, there is no finding.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from envtune.bfcl.audit.arithmetic import ROUNDING, is_computable, numbers_in
from envtune.bfcl.audit.finding import Finding, Reason
from envtune.bfcl.audit.ground_truth_replay import Place, passes_with
from envtune.bfcl.audit.readable_texts import ReadableTexts
from envtune.bfcl.audit.text_matching import is_readable, nearest, quotation
from envtune.call_text import render_call
from envtune.task import Task, ToolCall, leaves

# Parameters that take sentences, which the checker compares character by character.
FREE_TEXT = frozenset({"content", "message", "description", "title", "resolution", "comment_content"})
# Parameters with choices that the user has to name, and patterns of their names; they have no everyday synonyms.
CHOICES = {"travel_class": {"economy": "economy", "business": "business", "first": "first.?class"}}
# Values that do not have to be stated.
CONVENTIONS = ("", ".", "..")
DEFAULT_PRIORITY = 1
EXTREMES = re.compile(r"\b(max|maximum|top|highest|most|utmost)\b", re.IGNORECASE)
# Smaller numbers in a tool's document count options; larger ones are limits, such as a tank of 50 gallons.
LEAST_OF_A_DOCUMENT = 10


def argument_findings(task: Task) -> Iterator[Finding]:
    """Yield the findings on every value of every ground-truth call, in order."""
    for turn_index, turn in enumerate(task.turns):
        for call_index, call in enumerate(turn.ground_truth):
            readable = ReadableTexts(task, turn_index, call_index)
            for parameter, argument in call.arguments.items():
                place = Place(turn_index, call_index, parameter)
                for value in leaves(argument):
                    yield from _findings(task, readable, place, call, value)


def _findings(task: Task, readable: ReadableTexts, place: Place, call: ToolCall, value: Any) -> Iterator[Finding]:
    if isinstance(value, bool) or value is None or value in CONVENTIONS:
        return
    if isinstance(value, str):
        found = _text_finding(task, readable, place, call, value)
    else:
        found = _number_finding(task, readable, place, call, value)
    if found is not None:
        yield found


def _text_finding(task: Task, readable: ReadableTexts, place: Place, call: ToolCall, value: str) -> Finding | None:
    if place.parameter in CHOICES:
        return _choice_finding(task, readable, place, call, value)
    free = place.parameter in FREE_TEXT
    quoted = next((q for m in readable.messages if (q := quotation(value, m))), None) if free else None
    if quoted is not None and value.split() != quoted.split() and not passes_with(task, place, value, quoted):
        return _altered(place, value, quoted)
    if is_readable(value, readable.stated) or passes_with(task, place, value, f"{value} (other)"):
        return None
    if any(is_readable(value, texts) for texts in readable.widening()):
        return None
    near = nearest(value, (*readable.messages, *readable.results, *readable.shown)) if free else None
    if near is not None:
        return _altered(place, value, near)
    if free:
        text = f"{call.name} must be given a {place.parameter} in words that neither a message nor a result states"
        return Finding(Reason.UNSTATED_WORDING, place.turn, value, text)
    return _unreadable(place, call, value)


def _number_finding(task: Task, readable: ReadableTexts, place: Place, call: ToolCall, value: float) -> Finding | None:
    if place.parameter in ("priority", "updates"):
        return _priority_finding(task, readable, place, call, value)
    quoted = (*readable.messages, *readable.results)
    if float(value) in numbers_in(quoted) or passes_with(task, place, value, value + 1):
        return None
    if any(float(value) in numbers_in(texts) for texts in readable.widening()):
        return None
    rounded = any(ROUNDING.search(message) for message in readable.messages)
    limits = {number for number in numbers_in([readable.document(call.name)]) if number >= LEAST_OF_A_DOCUMENT}
    return None if is_computable(value, readable.operands | limits, rounded) else _unreadable(place, call, value)


def _choice_finding(task: Task, readable: ReadableTexts, place: Place, call: ToolCall, value: str) -> Finding | None:
    """Return a finding on a choice if no message names any choice and another choice fails."""
    choices = CHOICES[place.parameter]
    named = re.compile("|".join([*choices.values(), value]), re.IGNORECASE)
    if any(named.search(message) for message in readable.messages):
        return None
    if all(passes_with(task, place, value, other) for other in choices if other != value):
        return None
    text = f"{call.name} must be given {place.parameter}={value!r}, and no message names one of {', '.join(choices)}"
    return Finding(Reason.UNSTATED_CHOICE, place.turn, value, text)


def _priority_finding(
    task: Task, readable: ReadableTexts, place: Place, call: ToolCall, value: float
) -> Finding | None:
    """Return a finding on a ticket's priority that is not the default and that no number or extreme asks for."""
    asked = "\n".join(readable.messages)
    if value == DEFAULT_PRIORITY or float(value) in numbers_in([asked]) or EXTREMES.search(asked):
        return None
    if passes_with(task, place, value, value - 1):
        return None
    text = f"{call.name} must be given priority {value}, and the messages name neither a number nor an extreme"
    return Finding(Reason.UNSTATED_CHOICE, place.turn, str(value), text)


def _altered(place: Place, value: str, quoted: str) -> Finding:
    text = f"{place.parameter} is compared character by character with this text, where the agent reads {quoted!r}"
    return Finding(Reason.ALTERED_WORDING, place.turn, value, text)


def _unreadable(place: Place, call: ToolCall, value: Any) -> Finding:
    text = f"{render_call(call)}: {place.parameter} stands in no message, document or result, and no tool shows it"
    return Finding(Reason.UNREADABLE_ARGUMENT, place.turn, str(value), text)
