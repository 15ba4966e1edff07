"""Hints from the tables: the first rule of the failed call's tool that recognises its result."""

from __future__ import annotations

from collections.abc import Sequence

from envtune.environment.augmentation import (
    file_system,
    mathematics,
    message,
    python_errors,
    ticket,
    trading,
    travel,
    twitter,
    vehicle,
)
from envtune.environment.augmentation.rule import Rule, View
from envtune.errors import UserError
from envtune.task import ToolCall
from envtune.trajectory import Hint, HintKind

# The texts of Python exceptions come last: a domain may know better what one of them means for its tools.
RULES: tuple[Rule, ...] = (
    *file_system.RULES,
    *mathematics.RULES,
    *message.RULES,
    *ticket.RULES,
    *trading.RULES,
    *travel.RULES,
    *twitter.RULES,
    *vehicle.RULES,
    *python_errors.RULES,
)


class Actionable:
    """The method's augmentation. ``kinds`` names those wanted: ``dependency``, ``constraint`` or both."""

    def __init__(self, kinds: Sequence[str] = ("dependency", "constraint")) -> None:
        known = [str(kind) for kind in HintKind]
        unknown = [kind for kind in kinds if kind not in known]
        if isinstance(kinds, str) or unknown or not kinds:
            raise UserError(f"augmentation kinds {kinds!r} must be a list of one or more of {', '.join(known)}")
        self._kinds = frozenset(HintKind(kind) for kind in kinds)

    def hint(self, call: ToolCall, text: str, toolbox: View) -> Hint | None:
        """The first matching rule's hint; None where none matches or its kind was not asked for."""
        for rule in RULES:
            hint = rule.hint(call, text, toolbox)
            if hint is not None:
                return hint if hint.kind in self._kinds else None
        return None
