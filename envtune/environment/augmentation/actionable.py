"""Hints from the environment's tables: the hint of the first rule for the call's tool that matches its result.

Failed results are matched with the rules for failures, others with those for non-answers: results with ``ok`` that mean
"nothing found" or "nothing done".
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated

from envtune.checked import Among, EachOnce, checked
from envtune.environment.augmentation import Hints
from envtune.environment.augmentation.rule import Rule
from envtune.environment.identity_cache import cached_by_identity
from envtune.environment.protocol import Environment, World
from envtune.task import Task
from envtune.trajectory import Hint, HintKind, ToolResult

MAX_ENVIRONMENTS = 16


@checked
class Actionable:
    """The method's augmentation.

    Args:
        kinds: the kinds of hints to give: ``dependency``, ``constraint`` or both.
    """

    def __init__(self, kinds: EachOnce[Annotated[str, Among(HintKind)]] = ("dependency", "constraint")) -> None:
        self._kinds = frozenset(HintKind(kind) for kind in kinds)

    def for_episode(self, environment: Environment, task: Task, seed: int) -> Hints:
        """Return the hints of one episode: those of the environment's rules whose kind is enabled."""
        return _OfTables(*_tables(environment), self._kinds)


Table = Mapping[str, tuple[Rule, ...]]
"""The rules that apply to each tool, in order; the empty name has the rules for any tool."""


@dataclass(frozen=True, slots=True)
class _OfTables:
    failures: Table
    answers: Table
    kinds: frozenset[HintKind]

    def hint(self, result: ToolResult, world: World) -> Hint | None:
        """Return the first matching rule's hint; None if no rule matches or its kind is not enabled."""
        rules = self.answers if result.ok else self.failures
        for rule in rules.get(result.call.name, rules[""]):
            hint = rule.hint(result.call, result.text, world)
            if hint is not None:
                return hint if hint.kind in self.kinds else None
        return None


@cached_by_identity(MAX_ENVIRONMENTS)
def _tables(environment: Environment) -> tuple[Table, Table]:
    return _by_tool(environment.rules), _by_tool(environment.non_answers)


def _by_tool(rules: Sequence[Rule]) -> Table:
    tools = {"", *(tool for rule in rules for tool in rule.tools)}
    return {tool: tuple(rule for rule in rules if not rule.tools or tool in rule.tools) for tool in tools}
