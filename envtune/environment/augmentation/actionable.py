"""Hints from tables: the hint of the first rule for the call's tool that matches its result.

Failed results are matched with the rules for failures, others with those for non-answers: results with ``ok`` that mean
"nothing found" or "nothing done".
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

# Rules for Python exceptions come last: a domain's own rule for one of them is more specific.
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
    """Map each tool to the rules that apply to it, in order; the empty name has the rules for any tool."""
    tools = {"", *(tool for rule in rules for tool in rule.tools)}
    return {tool: tuple(rule for rule in rules if not rule.tools or tool in rule.tools) for tool in tools}


_OF_FAILURES, _OF_ANSWERS = _by_tool(RULES), _by_tool(NON_ANSWERS)


@checked
class Actionable:
    """The method's augmentation.

    Args:
        kinds: the kinds of hints to give: ``dependency``, ``constraint`` or both.
    """

    def __init__(self, kinds: EachOnce[Annotated[str, Among(HintKind)]] = ("dependency", "constraint")) -> None:
        self._kinds = frozenset(HintKind(kind) for kind in kinds)

    def for_episode(self, seed: int) -> Actionable:
        """Return this object, because its hints depend on the result and the tools alone."""
        return self

    def hint(self, result: ToolResult, toolbox: View) -> Hint | None:
        """Return the first matching rule's hint; None if no rule matches or its kind is not enabled."""
        rules = _OF_ANSWERS if result.ok else _OF_FAILURES
        for rule in rules.get(result.call.name, rules[""]):
            hint = rule.hint(result.call, result.text, toolbox)
            if hint is not None:
                return hint if hint.kind in self._kinds else None
        return None
