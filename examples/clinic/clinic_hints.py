"""The clinic's hint tables. A hint has a cause and a direction, never the solution."""

from __future__ import annotations

import re
from datetime import date
from typing import Any

from envtune.environment import Rule
from envtune.task import ToolCall


def day_is_full(call: ToolCall, match: re.Match[str], world: Any) -> bool:
    """Return whether the doctor has no free hour on the day: a condition may read what the agent itself can read."""
    return not world.view.free_hours(call.arguments["doctor"], date.fromisoformat(match["taken_day"]))


# For failed calls. The first rule that matches gives the hint.
RULES = (
    Rule(
        "clinic.patient_number",
        ("book", "cancel", "visits"),
        # Arguments that do not fit the type hints fail before the call; their messages can have rules, too.
        "no patient has this number|'patient' should be a valid integer",
        "'{patient}' is not the number of a patient.",
        "`find_patient` finds the number for a name.",
        kind="dependency",
    ),
    Rule(
        "clinic.patient_name",
        "find_patient",
        "no patient has this name",
        "'{name}' is not the full name of a patient.",
        "Give the name as the patient has written it.",
    ),
    Rule(
        "clinic.doctor",
        ("book", "free_hours"),
        "no such doctor",
        "'{doctor}' is not the name of a doctor here.",
        "`find_doctors` lists the names by field.",
        kind="dependency",
    ),
    Rule(
        "clinic.full_day",
        "book",
        r"on (?P<taken_day>\S+) is taken",
        "{doctor} has no free hour on {day}.",
        "`find_doctors` lists other doctors of the field.",
        when=day_is_full,
    ),
    Rule(
        "clinic.hour",
        "book",
        "is taken|not an hour of this doctor",
        "{doctor} has no free hour at {time} on {day}.",
        "`free_hours` lists those of a day.",
    ),
    Rule(
        "clinic.second_visit",
        "book",
        "the patient has a visit on this day",
        "A patient can have one visit a day, and {patient} has one on {day}.",
        "`visits` lists the visits of a patient.",
    ),
    Rule(
        "clinic.no_visit",
        "cancel",
        "the patient has no visit on this day",
        "{patient} has no visit on {day}.",
        "`visits` lists the visits of a patient.",
    ),
)

# For results of calls that did not fail, but found nothing.
NON_ANSWERS = (
    Rule(
        "clinic.nothing_free",
        "free_hours",
        r"^\[\]$",
        "{doctor} has no free hour on {day}.",
        "`find_doctors` lists other doctors of the field.",
    ),
)
