"""One row of a hint table: which failure it recognises, what caused it, and where the agent may look next.

A rule may use the call, the text of its result, and state that the agent could itself read with a tool. It never
writes a correct argument value that the agent has not written, nor a whole sequence of calls. Tools are named in
backticks, and only those that the task offers.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from envtune.task import ToolCall
from envtune.trajectory import Hint, HintKind

SHOWN_CHARACTERS = 60


class View(Protocol):
    """What a rule sees of a toolbox: the offered tools' names, and the live world of each tool class by its name."""

    @property
    def tools(self) -> frozenset[str]: ...

    @property
    def worlds(self) -> Mapping[str, Any]: ...


Text = str | Callable[[ToolCall, "re.Match[str]", View], str]
Condition = Callable[[ToolCall, "re.Match[str]", View], bool]


@dataclass(frozen=True, slots=True)
class Direction:
    """A sentence on where to look next. It is used only where every tool in ``suggests`` is offered."""

    text: str
    suggests: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Rule:
    """Recognises one failure and words its hint.

    ``tools``: the tools it applies to; none named means any tool. ``pattern``: searched for in the result's text.
    ``text``: the cause, a template over the call's arguments, the pattern's named groups and ``{tool}``, or a
    function that returns the finished sentence. ``directions``: the first whose tools are all offered is added.
    ``when``: a further condition.
    """

    name: str
    tools: tuple[str, ...]
    pattern: str
    kind: HintKind
    text: Text
    directions: tuple[Direction, ...] = ()
    when: Condition | None = None

    def hint(self, call: ToolCall, text: str, view: View) -> Hint | None:
        """The hint for this failure, or None where the rule does not recognise it."""
        if self.tools and call.name not in self.tools:
            return None
        match = re.search(self.pattern, text)
        if match is None or (self.when is not None and not self.when(call, match, view)):
            return None
        cause = self.text(call, match, view) if callable(self.text) else fill(self.text, call, match)
        offered = (d.text for d in self.directions if view.tools.issuperset(d.suggests))
        direction = fill(next(offered, ""), call, match)
        return Hint(rule=self.name, kind=self.kind, text=f"{cause} {direction}".strip())


def fill(template: str, call: ToolCall, match: re.Match[str]) -> str:
    """The template with the call's arguments, the pattern's groups and ``{tool}``; ``nothing`` where one is absent."""
    values = {name: shown(value) for name, value in call.arguments.items()}
    values |= {name: shown(value) for name, value in match.groupdict().items()}
    return template.format_map(defaultdict(lambda: "nothing", values, tool=call.name))


def shown(value: object) -> str:
    """The value as the agent wrote it, cut where it is too long to repeat."""
    text = value if isinstance(value, str) else repr(value)
    return text if len(text) <= SHOWN_CHARACTERS else text[: SHOWN_CHARACTERS - 1] + "…"


def quoted(values: Sequence[object]) -> str:
    """``'a'``, ``'a' and 'b'`` or ``'a', 'b' and 'c'``; ``nothing`` where there is none."""
    words = [f"'{shown(value)}'" for value in values] or ["nothing"]
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"


def given_as_text(argument: str) -> Condition:
    """True where the agent wrote ``argument`` in quotes, for identifiers that are numbers."""
    return lambda call, match, view: isinstance(call.arguments.get(argument), str)
