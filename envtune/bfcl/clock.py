"""A fixed clock for the tools' worlds: one moment, in UTC.

Two of BFCL's tools read the machine's clock. ``verify_traveler_information`` computes an age from today's date, so that
a call's result changes with the year; TradingBot converts its fixed time to the local time zone. Subclasses with copies
of these functions read this clock instead; BFCL's own modules are not changed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime, timezone
from types import FunctionType
from typing import Any

# The fixed time of BFCL's trading world. No ground truth depends on it: its youngest traveler was born in 1995.
NOW = (2024, 9, 1, 10, 30)
# By class: the functions that read the time, and the module names that they read it by.
ASKING = {
    "TravelAPI": (("verify_traveler_information",), ("datetime",)),
    "TradingBot": (("_generate_transaction_timestamp",), ("datetime", "CURRENT_TIME")),
}


class FixedTime(datetime):
    """A ``datetime`` whose present is always ``NOW`` and whose local time zone is UTC."""

    @classmethod
    def now(cls, tz: Any = None) -> FixedTime:
        """Return ``NOW``."""
        return cls(*NOW, tzinfo=tz)

    @classmethod
    def today(cls) -> FixedTime:
        """Return ``NOW`` without a time zone."""
        return cls(*NOW)

    @classmethod
    def fromtimestamp(cls, timestamp: float, tz: Any = None) -> FixedTime:
        """Return the moment of a POSIX timestamp, in UTC unless a time zone is given."""
        moment = super().fromtimestamp(timestamp, tz or timezone.utc)
        return moment if tz else moment.replace(tzinfo=None)

    def timestamp(self) -> float:
        """Return the POSIX timestamp in seconds, taking a moment without a time zone as UTC."""
        aware = self if self.tzinfo else self.replace(tzinfo=timezone.utc)
        return super(FixedTime, aware).timestamp()


def with_fixed_time(toolbox: type) -> type:
    """Return the class, or a subclass of it that reads the fixed clock if the class reads the time."""
    if toolbox.__name__ not in ASKING:
        return toolbox
    functions, names = ASKING[toolbox.__name__]
    clock = {"datetime": FixedTime, "CURRENT_TIME": FixedTime.today()}
    replaced = {name: _rebound(getattr(toolbox, name), {key: clock[key] for key in names}) for name in functions}
    return type(toolbox.__name__, (toolbox,), {**replaced, "__module__": toolbox.__module__})


def _rebound(function: Callable[..., Any], names: Mapping[str, Any]) -> FunctionType:
    """Return a copy of a function with ``names`` in place of its module's; its error messages do not change."""
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
