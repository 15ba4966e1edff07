"""Hints for the calculation tools (BFCL's MathAPI): units and domains. Most of its messages name their rule already."""

from __future__ import annotations

import math
import re
from collections.abc import Collection, Mapping

from envtune.environment.augmentation.rule import Readable, Rule, quoted, shown
from envtune.task import ToolCall
from envtune.trajectory import HintKind

METRIC_LENGTHS = ("km", "m", "cm", "mm", "um", "nm")
IMPERIAL_CONVERSIONS = ("cm", "in", "m", "ft", "yd", "km", "miles", "kg", "lb", "celsius", "fahrenheit")
"""The units that ``imperial_si_conversion`` knows."""
UNSUPPORTED = r"Conversion from '.*' to '.*' is not supported"


def _units_not_in(known: Collection[str], call: ToolCall) -> list[object]:
    units = [call.arguments[end] for end in ("unit_in", "unit_out") if end in call.arguments]
    return [unit for unit in units if unit not in known]


def _not_metric(call: ToolCall, match: re.Match[str], world: Readable) -> str:
    units = _units_not_in(METRIC_LENGTHS, call)
    verb = "is none" if len(units) == 1 else "are none"
    return f"`{call.name}` converts between metric lengths, given by their abbreviations, and {quoted(units)} {verb}."


def _unknown_units(call: ToolCall, match: re.Match[str], world: Readable) -> str:
    units = _units_not_in(IMPERIAL_CONVERSIONS, call)
    what = "is no unit" if len(units) == 1 else "are no units"
    return f"{quoted(units)} {what} that `{call.name}` knows: most units are abbreviated, some written out."


def _is_number(value: object, above: float = -math.inf) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and value > above


def _is_whole(value: object, above: float = -math.inf) -> bool:
    return isinstance(value, int) and _is_number(value, above)


def _logarithm(call: ToolCall, match: re.Match[str], world: Readable) -> str:
    fits = {name: _is_number(call.arguments.get(name), above=0) for name in ("value", "base")}
    needs = {**dict.fromkeys(fits, "a positive number"), "precision": "a whole number of digits"}
    return _unfit(call, fits | {"precision": _is_whole(call.arguments.get("precision"))}, needs)


def _square_root(call: ToolCall, match: re.Match[str], world: Readable) -> str:
    number, precision = (call.arguments.get(name) for name in ("number", "precision"))
    fits = {"number": _is_number(number), "precision": _is_whole(precision, above=0)}
    return _unfit(call, fits, {"number": "a number", "precision": "a whole number of digits from one upwards"})


def _unfit(call: ToolCall, fits: Mapping[str, bool], needs: Mapping[str, str]) -> str:
    """Return which arguments are not what is needed; all of them with their needs if none stands out."""
    wrong = [name for name in needs if not fits[name]] or list(needs)
    parts = [f"'{name}' has to be {needs[name]}, and you gave '{shown(call.arguments.get(name))}'" for name in wrong]
    return f"`{call.name}` cannot compute this: {'; '.join(parts)}."


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
        text=_logarithm,
    ),
    Rule(
        name="mathematics.not_metric_length",
        tools=("si_unit_conversion",),
        pattern=UNSUPPORTED,
        kind=HintKind.DEPENDENCY,
        text=_not_metric,
        directions=("Another tool, `imperial_si_conversion`, knows some others.", "Check the spelling of the units."),
    ),
    Rule(
        name="mathematics.unknown_unit",
        tools=("imperial_si_conversion",),
        pattern=UNSUPPORTED,
        text=_unknown_units,
        directions=(
            "Another spelling can help, or `si_unit_conversion` for metric lengths.",
            "Another spelling can help.",
        ),
        when=lambda call, match, world: bool(_units_not_in(IMPERIAL_CONVERSIONS, call)),
    ),
    Rule(
        name="mathematics.unknown_unit_pair",
        tools=("imperial_si_conversion",),
        pattern=UNSUPPORTED,
        text="There is no conversion from '{unit_in}' to '{unit_out}': each known pair has one metric and one imperial "
        "unit of about the same size.",
        directions=(
            "A unit in between can help, with `si_unit_conversion` for metric lengths.",
            "A unit in between can help.",
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
        text=_square_root,
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
