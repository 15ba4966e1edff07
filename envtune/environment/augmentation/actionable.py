"""Hints from the tables: the first rule of the call's tool that recognises its result.

A failed result is looked up among the rules for failures, any other among those for non-answers: results that a tool
gives as an answer though they stand for "nothing found" or "nothing done".
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated

from envtune.checked import Among, EachOnce, checked
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
from envtune.trajectory import Hint, HintKind, ToolResult

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
NON_ANSWERS: tuple[Rule, ...] = (*trading.NON_ANSWERS, *travel.NON_ANSWERS, *vehicle.NON_ANSWERS)


def _by_tool(rules: Sequence[Rule]) -> Mapping[str, tuple[Rule, ...]]:
    """The rules that apply to each tool, in their order; those for any tool also under the empty name."""
    tools = {"", *(tool for rule in rules for tool in rule.tools)}
    return {tool: tuple(rule for rule in rules if not rule.tools or tool in rule.tools) for tool in tools}


_OF_FAILURES, _OF_ANSWERS = _by_tool(RULES), _by_tool(NON_ANSWERS)


@checked
class Actionable:
    """The method's augmentation. ``kinds`` names those wanted: ``dependency``, ``constraint`` or both."""

    def __init__(self, kinds: EachOnce[Annotated[str, Among(HintKind)]] = ("dependency", "constraint")) -> None:
        self._kinds = frozenset(HintKind(kind) for kind in kinds)

    def for_episode(self, seed: int) -> Actionable:
        """Itself: what it says depends on nothing but the result and the tools."""
        return self

    def hint(self, result: ToolResult, toolbox: View) -> Hint | None:
        """The first matching rule's hint; None where none matches or its kind was not asked for."""
        rules = _OF_ANSWERS if result.ok else _OF_FAILURES
        for rule in rules.get(result.call.name, rules[""]):
            hint = rule.hint(result.call, result.text, toolbox)
            if hint is not None:
                return hint if hint.kind in self._kinds else None
        return None
