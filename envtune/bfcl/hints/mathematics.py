"""Hints for the calculation tools (BFCL's MathAPI): units and domains. Most of its messages name their rule already."""

from __future__ import annotations

import re
from collections.abc import Mapping

from envtune.environment.augmentation.rule import Readable, Rule, quoted
from envtune.task import ToolCall
from envtune.trajectory import HintKind

METRIC_LENGTHS = ("km", "m", "cm", "mm", "um", "nm")


def _not_lengths(call: ToolCall) -> list[object]:
    units = [call.arguments[end] for end in ("unit_in", "unit_out") if end in call.arguments]
    return [unit for unit in units if unit not in METRIC_LENGTHS]


def _not_metric(call: ToolCall, match: re.Match[str], world: Readable) -> str:
    units = _not_lengths(call)
    verb = "is none" if len(units) == 1 else "are none"
    return f"`{call.name}` converts between metric lengths, given by their abbreviations, and {quoted(units)} {verb}."


RULES: tuple[Rule, ...] = (
    Rule(
        name="mathematics.logarithm_base_one",
        tools=("logarithm",),
        pattern=r'"error":',
        text="A logarithm to the base {base} is not defined.",
        directions=("Check which base the user means.",),
        when=lambda call, match, world: call.arguments.get("base") == 1,
    ),
    Rule(
        name="mathematics.logarithm_domain",
        tools=("logarithm",),
        pattern=r'"error":',
        text="The logarithm of '{value}' to the base '{base}' with the precision '{precision}' cannot be computed: "
        "value and base are positive numbers, and the precision is a whole number of digits.",
    ),
    Rule(
        name="mathematics.not_metric_length",
        tools=("si_unit_conversion",),
        pattern=r"Conversion from '.*' to '.*' is not supported",
        kind=HintKind.DEPENDENCY,
        text=_not_metric,
        directions=("Another tool, `imperial_si_conversion`, knows some others.", "Check the spelling of the units."),
    ),
    Rule(
        name="mathematics.unknown_unit_pair",
        tools=("imperial_si_conversion",),
        pattern=r"Conversion from '.*' to '.*' is not supported",
        text="There is no conversion from '{unit_in}' to '{unit_out}': each known pair has one metric and one imperial "
        "unit, most of them abbreviated.",
        directions=(
            "A unit in between can help, with `si_unit_conversion` for metric lengths.",
            "Another spelling or a unit in between can help.",
        ),
    ),
    Rule(
        name="mathematics.result_too_large",
        tools=("si_unit_conversion", "imperial_si_conversion"),
        pattern=r"too large to represent",
        text="{value} '{unit_in}' is too large a number when counted in '{unit_out}'; a larger unit makes it smaller.",
    ),
    Rule(
        name="mathematics.overflow",
        tools=("power", "multiply", "divide", "percentage", "mean", "standard_deviation", "sum_values", "add"),
        pattern=r"out of range|too large to convert|math range error",
        text="The numbers given to `{tool}` lead to one that is too large to represent.",
        directions=("Check them and their units.",),
    ),
    Rule(
        name="mathematics.square_root_domain",
        tools=("square_root",),
        pattern=r"computation resulted in an invalid operation|valid range for prec",
        text="The square root of '{number}' with the precision '{precision}' cannot be computed: the one is a number "
        "that is not negative, the other a whole number of digits from one upwards.",
    ),
)

ALREADY_ACTIONABLE: Mapping[str, str] = {
    r"of an empty list": "names the rule",
    r"All elements in the list must be numbers": "names the rule",
    r"Value must be a number": "names the rule",
    r"Both inputs must be numbers": "names the rule",
    r"Cannot divide by zero": "names the rule",
    r"Cannot calculate square root of a negative number": "names the rule",
    r"^{\"error\": \"Input must be a number\"}$": "names the rule",
    r"First input must be a number, second input must be an integer": "names the rule",
    r"Whole value cannot be zero": "names the rule",
    r"to a negative power": "names the rule",
}
