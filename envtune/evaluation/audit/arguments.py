"""Findings on the values in ground-truth calls: what the agent could nowhere read, was not told, or was told otherwise.

A value is looked at only if the verdict hangs on it: the ground truth is played with another value in its place, and
where that passes too, the value is nobody's concern (the text of a message to customer support, for instance).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from envtune.evaluation.audit.arithmetic import ROUNDING, is_computable, numbers_in
from envtune.evaluation.audit.finding import Finding, Reason
from envtune.evaluation.audit.playing import Place, leaves, passes_with, written
from envtune.evaluation.audit.reading import Reading
from envtune.evaluation.audit.wording import is_readable, nearest, quotation
from envtune.task import Task, ToolCall

# Parameters that take sentences. Their texts are compared character by character.
FREE_TEXT = frozenset({"content", "message", "description", "title", "resolution", "comment_content"})
# Where the user has to name one of the choices, and how they are named: no other everyday word stands for one.
CHOICES = {"travel_class": {"economy": "economy", "business": "business", "first": "first.?class"}}
# What everybody knows to write.
CONVENTIONS = ("", ".", "..")
DEFAULT_PRIORITY = 1
EXTREMES = re.compile(r"\b(max|maximum|top|highest|most|utmost)\b", re.IGNORECASE)
# Smaller numbers of a tool's document count its options; larger ones are its limits, such as a tank of 50 gallons.
LEAST_OF_A_DOCUMENT = 10


def argument_findings(task: Task) -> Iterator[Finding]:
    """The findings on every value of every ground-truth call, in order."""
    for turn_index, turn in enumerate(task.turns):
        for call_index, call in enumerate(turn.ground_truth):
            reading = Reading(task, turn_index, call_index)
            for parameter, argument in call.arguments.items():
                place = Place(turn_index, call_index, parameter)
                for value in leaves(argument):
                    yield from _findings(task, reading, place, call, value)


def _findings(task: Task, reading: Reading, place: Place, call: ToolCall, value: Any) -> Iterator[Finding]:
    if isinstance(value, bool) or value is None or value in CONVENTIONS:
        return
    if isinstance(value, str):
        found = _text_finding(task, reading, place, call, value)
    else:
        found = _number_finding(task, reading, place, call, value)
    if found is not None:
        yield found


def _text_finding(task: Task, reading: Reading, place: Place, call: ToolCall, value: str) -> Finding | None:
    if place.parameter in CHOICES:
        return _choice_finding(task, reading, place, call, value)
    free = place.parameter in FREE_TEXT
    told = next((q for m in reading.messages if (q := quotation(value, m))), None) if free else None
    if told is not None and value.split() != told.split() and not passes_with(task, place, value, told):
        return _altered(place, value, told)
    if is_readable(value, reading.stated) or passes_with(task, place, value, f"{value} (other)"):
        return None
    if any(is_readable(value, texts) for texts in reading.widening()):
        return None
    near = nearest(value, (*reading.messages, *reading.results, *reading.shown)) if free else None
    if near is not None:
        return _altered(place, value, near)
    if free:
        text = f"{call.name} must be given a {place.parameter} in words that neither a message nor a result states"
        return Finding(Reason.UNSTATED_WORDING, place.turn, value, text)
    return _unreadable(place, call, value)


def _number_finding(task: Task, reading: Reading, place: Place, call: ToolCall, value: float) -> Finding | None:
    if place.parameter in ("priority", "updates"):
        return _priority_finding(task, reading, place, call, value)
    told = (*reading.messages, *reading.results)
    if float(value) in numbers_in(told) or passes_with(task, place, value, value + 1):
        return None
    if any(float(value) in numbers_in(texts) for texts in reading.widening()):
        return None
    rounded = any(ROUNDING.search(message) for message in reading.messages)
    limits = {number for number in numbers_in([reading.document(call.name)]) if number >= LEAST_OF_A_DOCUMENT}
    return None if is_computable(value, reading.operands | limits, rounded) else _unreadable(place, call, value)


def _choice_finding(task: Task, reading: Reading, place: Place, call: ToolCall, value: str) -> Finding | None:
    """For a choice by name: no message names any of the choices, and another one does not pass."""
    choices = CHOICES[place.parameter]
    named = re.compile("|".join([*choices.values(), value]), re.IGNORECASE)
    if any(named.search(message) for message in reading.messages):
        return None
    if all(passes_with(task, place, value, other) for other in choices if other != value):
        return None
    text = f"{call.name} must be given {place.parameter}={value!r}, and no message names one of {', '.join(choices)}"
    return Finding(Reason.UNSTATED_CHOICE, place.turn, value, text)


def _priority_finding(task: Task, reading: Reading, place: Place, call: ToolCall, value: float) -> Finding | None:
    """For a ticket's priority: no number, no extreme and not the default is asked for."""
    asked = "\n".join(reading.messages)
    if value == DEFAULT_PRIORITY or float(value) in numbers_in([asked]) or EXTREMES.search(asked):
        return None
    if passes_with(task, place, value, value - 1):
        return None
    text = f"{call.name} must be given priority {value}, and the messages name neither a number nor an extreme"
    return Finding(Reason.UNSTATED_CHOICE, place.turn, str(value), text)


def _altered(place: Place, value: str, told: str) -> Finding:
    text = f"{place.parameter} is compared character by character with this text, where the agent reads {told!r}"
    return Finding(Reason.ALTERED_WORDING, place.turn, value, text)


def _unreadable(place: Place, call: ToolCall, value: Any) -> Finding:
    text = f"{written(call)}: {place.parameter} stands in no message, document or result, and no tool shows it"
    return Finding(Reason.UNREADABLE_ARGUMENT, place.turn, str(value), text)
