"""Rules, the rows of hint tables: the failure that a rule matches, its cause, and where the agent can look next.

A rule may use the call, the text of its result, and state that the agent itself can read with a tool. Its hint never
contains a correct argument value that the agent has not written, nor a sequence of calls. Tools are named in backticks,
and only those that the task offers.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from string import Formatter
from typing import Any, Protocol

from envtune.environment.limits.exceeded import LimitExceeded
from envtune.errors import UserError
from envtune.task import ToolCall
from envtune.trajectory import Hint, HintKind

SHOWN_CHARACTERS = 60
TYPE_NAMES: Mapping[type, str] = {
    str: "text",
    bool: "true or false",
    int: "a whole number",
    float: "a number",
    list: "a list",
    tuple: "a list",
    dict: "an object",
    type(None): "nothing",
}


class Readable(Protocol):
    """The part of a world that a rule can read."""

    @property
    def tools(self) -> frozenset[str]:
        """The names of the offered tools."""
        ...

    @property
    def view(self) -> Any:
        """The live state, which a rule must not change."""
        ...


Text = str | Callable[[ToolCall, "re.Match[str]", Readable], str]
Condition = Callable[[ToolCall, "re.Match[str]", Readable], bool]


@dataclass(frozen=True, slots=True)
class Rule:
    """One failure and the hint for it."""

    name: str
    tools: tuple[str, ...] | str
    """The tools that the rule applies to, empty for any tool; a single one may be given as text. A tuple when read."""
    pattern: str
    """The regular expression that is searched for in the result's text."""
    text: Text
    """The cause: a template over the call's arguments, the pattern's named groups and ``{tool}``, or a function that
    returns the complete sentence."""
    directions: tuple[str, ...] | str = ()
    """Sentences on where to look next; a single one may be given as text. The first whose tools, in backticks, are all
    offered is added to the hint."""
    kind: HintKind | str = HintKind.CONSTRAINT
    """A rule of the tool itself, unless a prerequisite in another tool is missing."""
    when: Condition | None = None
    """A further condition on the call, the match and the world."""

    def __post_init__(self) -> None:
        for name in ("tools", "directions"):
            if isinstance(given := getattr(self, name), str):
                object.__setattr__(self, name, (given,))
        try:
            object.__setattr__(self, "kind", HintKind(self.kind))
            re.compile(self.pattern)
            for template in self.templates:
                fields_of(template)
        except (ValueError, re.error) as error:
            raise UserError(
                f"the rule {self.name} is not valid ({error}): kind is one of {', '.join(HintKind)}, pattern a regular "
                "expression, and texts have {argument} or {{ and }}"
            ) from None

    @property
    def templates(self) -> tuple[str, ...]:
        """The cause, unless a function returns it, and the directions."""
        return (*([self.text] if isinstance(self.text, str) else []), *self.directions)

    def fault_among(self, parameters: Mapping[str, Collection[str]]) -> str | None:
        """Return which name the rule gets wrong, or None.

        Args:
            parameters: the parameters of every tool of the environment.
        """
        named = (*self.tools, *(tool for sentence in self.directions for tool in tools_in(sentence)))
        if unknown := [tool for tool in named if tool not in parameters]:
            return f"the rule {self.name} names the unknown tool {unknown[0]}: use some of {', '.join(parameters)}"
        fields = {"tool", *re.compile(self.pattern).groupindex}
        fields |= {name for tool in self.tools or parameters for name in parameters[tool]}
        wrong = [field for template in self.templates for field in fields_of(template) if field not in fields]
        if wrong:
            return f"the rule {self.name} has the unknown field {{{wrong[0]}}}: use some of {', '.join(sorted(fields))}"
        return None

    def hint(self, call: ToolCall, text: str, world: Readable) -> Hint | None:
        """Return the hint for a call and its result's text; None if the rule does not match."""
        if self.tools and call.name not in self.tools:
            return None
        match = re.search(self.pattern, text)
        if match is None:
            return None
        try:
            if self.when is not None and not self.when(call, match, world):
                return None
            cause = self.text(call, match, world) if callable(self.text) else fill(self.text, call, match)
        except LimitExceeded:
            raise
        except Exception as error:
            raise UserError(
                f"the rule {self.name} fails on a result of {call.name} ({type(error).__name__}: {error}): correct its "
                "`when` or `text`"
            ) from error
        offered = (sentence for sentence in self.directions if world.tools.issuperset(tools_in(sentence)))
        direction = fill(next(offered, ""), call, match)
        return Hint(rule=self.name, kind=HintKind(self.kind), text=f"{cause} {direction}".strip())


def fields_of(template: str) -> list[str]:
    """Return the names of a template's fields; raise ValueError for a stray brace."""
    return [re.split(r"[.\[]", field)[0] for _, field, _, _ in Formatter().parse(template) if field is not None]


def tools_in(sentence: str) -> list[str]:
    """Return the names of tools in a direction."""
    return re.findall(r"`(\w+)`", sentence)


def fill(template: str, call: ToolCall, match: re.Match[str]) -> str:
    """Fill a template with the call's arguments, the pattern's groups and ``{tool}``; absent ones are ``nothing``."""
    values = {name: shown(value) for name, value in call.arguments.items()}
    values |= {name: shown(value) for name, value in match.groupdict().items()}
    return template.format_map(defaultdict(lambda: "nothing", values, tool=call.name))


def shown(value: object) -> str:
    """Return a value as the agent wrote it, cut if it is too long to repeat."""
    text = value if isinstance(value, str) else repr(value)
    return text if len(text) <= SHOWN_CHARACTERS else text[: SHOWN_CHARACTERS - 1] + "…"


def quoted(values: Sequence[object]) -> str:
    """Return ``'a'``, ``'a' and 'b'`` or ``'a', 'b' and 'c'``; ``nothing`` for no values."""
    words = [f"'{shown(value)}'" for value in values] or ["nothing"]
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"


def given_as_text(argument: str) -> Condition:
    """Return a condition that is True if the agent gave ``argument``, a numeric identifier, as text."""
    return lambda call, match, world: isinstance(call.arguments.get(argument), str)
