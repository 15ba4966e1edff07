"""The time inside the tools' world: one fixed day, in UTC.

Two of BFCL's tools ask the machine instead. ``verify_traveler_information`` takes today's date to tell an age, so that
the same call is answered differently next year; TradingBot passes its fixed time through the local time zone. Here
both read this clock. BFCL's own modules keep theirs: what is replaced are copies of functions in subclasses.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime, timezone
from types import FunctionType
from typing import Any

# Where BFCL's trading world stands still too. No ground truth turns on it: its youngest traveler was born in 1995.
NOW = (2024, 9, 1, 10, 30)
# By the class's name: the functions that ask for the time, and the names by which they do.
ASKING = {
    "TravelAPI": (("verify_traveler_information",), ("datetime",)),
    "TradingBot": (("_generate_transaction_timestamp",), ("datetime", "CURRENT_TIME")),
}


class FixedTime(datetime):
    """A ``datetime`` for which it is always ``NOW``, and local time is UTC."""

    @classmethod
    def now(cls, tz: Any = None) -> FixedTime:
        return cls(*NOW, tzinfo=tz)

    @classmethod
    def today(cls) -> FixedTime:
        return cls(*NOW)

    @classmethod
    def fromtimestamp(cls, timestamp: float, tz: Any = None) -> FixedTime:
        moment = super().fromtimestamp(timestamp, tz or timezone.utc)
        return moment if tz else moment.replace(tzinfo=None)

    def timestamp(self) -> float:
        aware = self if self.tzinfo else self.replace(tzinfo=timezone.utc)
        return super(FixedTime, aware).timestamp()


def with_fixed_time(toolbox: type) -> type:
    """The class itself, or a subclass whose functions that ask for the time read the fixed clock."""
    if toolbox.__name__ not in ASKING:
        return toolbox
    functions, names = ASKING[toolbox.__name__]
    clock = {"datetime": FixedTime, "CURRENT_TIME": FixedTime.today()}
    replaced = {name: _rebound(getattr(toolbox, name), {key: clock[key] for key in names}) for name in functions}
    return type(toolbox.__name__, (toolbox,), {**replaced, "__module__": toolbox.__module__})


def _rebound(function: Callable[..., Any], names: Mapping[str, Any]) -> FunctionType:
    """A copy of a function that sees ``names`` in place of its module's. Its errors read as the original's."""
    assert isinstance(function, FunctionType)
    copied = FunctionType(
        function.__code__,
        {**function.__globals__, **names},
        function.__name__,
        function.__defaults__,
        function.__closure__,
    )
    copied.__qualname__ = function.__qualname__
    return copied
