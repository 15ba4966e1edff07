"""Hints from the environment's tables, and then those that need no table.

The table's hint is that of the first rule for the call's tool that matches its result. Failed results are matched with
the rules for failures, others with those for non-answers: results with ``ok`` that mean "nothing found" or "nothing
done". A failure that no rule matches gets a schema hint (schema.py), unless the tables cover those cases themselves.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated

from envtune.checked import Among, EachOnce, checked
from envtune.environment.augmentation import Hints
from envtune.environment.augmentation.rule import Rule
from envtune.environment.augmentation.schema import SchemaHints
from envtune.environment.identity_cache import cached_by_identity
from envtune.environment.interface import Environment, World
from envtune.task import Task, ToolDocument
from envtune.trajectory import Hint, HintKind, ToolResult

MAX_ENVIRONMENTS = 16


@checked
class Actionable:
    """The method's augmentation.

    Args:
        kinds: the kinds of hints to give: ``dependency``, ``constraint`` or both.
        cues: as in ``SchemaHints``.
    """

    def __init__(
        self, kinds: EachOnce[Annotated[str, Among(HintKind)]] = ("dependency", "constraint"), cues: bool = False
    ) -> None:
        self._kinds = frozenset(HintKind(kind) for kind in kinds)
        self._schema = SchemaHints(cues)

    def for_episode(self, environment: Environment, task: Task, seed: int) -> Hints:
        """Return the hints of one episode: those whose kind is enabled."""
        schema = self._schema.for_episode(environment, task, seed)
        return _TablesFirst(*_tables(environment), schema, environment.covers_schema, self._kinds)


Table = Mapping[str, tuple[Rule, ...]]
"""The rules that apply to each tool, in order; the empty name has the rules for any tool."""


@dataclass(frozen=True, slots=True)
class _TablesFirst:
    failures: Table
    answers: Table
    schema: Hints
    covers_schema: bool
    kinds: frozenset[HintKind]

    def shown(self, tool: ToolDocument) -> ToolDocument:
        """Return the document as schema hints show it."""
        return self.schema.shown(tool)

    def hint(self, result: ToolResult, world: World) -> Hint | None:
        """Return the first matching rule's hint, else the schema's; None without one or if its kind is not enabled."""
        hint = self._of_tables(result, world)
        if hint is None and not self.covers_schema:
            hint = self.schema.hint(result, world)
        return hint if hint is not None and hint.kind in self.kinds else None

    def _of_tables(self, result: ToolResult, world: World) -> Hint | None:
        rules = self.answers if result.ok else self.failures
        hints = (rule.hint(result.call, result.text, world) for rule in rules.get(result.call.name, rules[""]))
        return next(filter(None, hints), None)


@cached_by_identity(MAX_ENVIRONMENTS)
def _tables(environment: Environment) -> tuple[Table, Table]:
    return _by_tool(environment.rules), _by_tool(environment.non_answers)


def _by_tool(rules: Sequence[Rule]) -> Table:
    tools = {"", *(tool for rule in rules for tool in rule.tools)}
    return {tool: tuple(rule for rule in rules if not rule.tools or tool in rule.tools) for tool in tools}
