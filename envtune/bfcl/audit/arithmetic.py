"""Whether a number of the ground truth can be computed from readable numbers, with some tolerance.

Covered are a number itself, in digits or as a word; a number times or divided by a constant of the tools or of everyday
language; the sum, difference, product, quotient and percentage of two numbers; and the fuel missing for a distance.
Results may be rounded to the value's decimal places (thousands to thousands) if a message mentions rounding. Other
sequences of operations are not covered.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator

NUMBER = re.compile(r"\d[\d,]*(?:\.\d+)?")
# fmt: off
WORDS = (
    "zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve",
    "thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen", "twenty",
)
# fmt: on
TENS = {"thirty": 30, "forty": 40, "fifty": 50, "sixty": 60, "hundred": 100, "thousand": 1000}
# Halves and doubles, dozens, percent; litres per gallon as the tools have it; miles per gallon; RMB per US dollar.
CONSTANTS = (2.0, 10.0, 12.0, 100.0, 1000.0, 0.264172, 3.78541, 20.0, 7.0)
ROUNDING = re.compile(r"round|decimal|digit|nearest|integer|approximate", re.IGNORECASE)


def numbers_in(texts: Iterable[str]) -> frozenset[float]:
    """Return every number in the texts, in digits or in words up to a thousand."""
    found: set[float] = set()
    for text in texts:
        found.update(float(digits.replace(",", "")) for digits in NUMBER.findall(text) if len(digits) < 300)
        for word in re.findall(r"[a-z]+", text.lower()):
            if word in WORDS:
                found.add(float(WORDS.index(word)))
            found.update({float(TENS[word])} if word in TENS else ())
    return frozenset(found)


def is_computable(value: float, numbers: frozenset[float], rounded: bool) -> bool:
    """Return True if one covered operation on ``numbers`` gives ``value``, if ``rounded`` to its decimal places."""
    if abs(value) <= 1 or abs(value) in numbers:
        return True
    tolerance = 0.5 * 10 ** -_places(value) if rounded else 1e-9 * abs(value)
    if rounded and value % 1000 == 0:
        tolerance = 500.0
    return any(abs(result - value) <= tolerance for result in _results(numbers))


def _places(value: float) -> int:
    text = repr(float(value))
    return 0 if text.endswith(".0") or "e" in text else len(text.partition(".")[2])


def _results(numbers: frozenset[float]) -> Iterator[float]:
    for a in numbers:
        for constant in CONSTANTS:
            yield a * constant
            yield a / constant
        for b in numbers:
            yield from _pairs(a, b)


def _pairs(a: float, b: float) -> Iterator[float]:
    yield a + b
    yield a - b
    yield a * b
    if b and math.isfinite(a / b):
        yield a / b
        yield 100 * a / b
        # The gallons missing for a miles with b gallons in the tank.
        yield a / 20 - b
