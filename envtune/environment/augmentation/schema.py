"""Hints that need no table: what a failed call has that the tool's document does not allow, in any environment.

Rules: ``schema.unknown_tool``, ``schema.not_offered``, and ``schema.`` with each ``FaultKind``. A call that fits its
document gets no hint, so neither does a failure with another cause. A hint contains what the agent wrote and what the
documents that it can read contain, and nothing of the world or the ground truth.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any

from envtune.checked import checked
from envtune.environment.augmentation import Hints
from envtune.environment.augmentation.cues import cued
from envtune.environment.augmentation.document_fault import DocumentFault, FaultKind, first_fault
from envtune.environment.augmentation.rule import TYPE_NAMES, quoted, shown
from envtune.environment.interface import Environment, World
from envtune.task import Task, ToolDocument
from envtune.trajectory import Hint, HintKind, ToolResult

MAX_VALUES = 20
"""The largest number of allowed values that a hint lists."""
READ_DOCUMENT = "The tool's document lists its parameters."


@checked
class SchemaHints:
    """Hints about calls that the tools' documents do not allow.

    Args:
        cues: mark required arguments and repeat allowed values in the documents of the episodes that get hints.
    """

    def __init__(self, cues: bool = False) -> None:
        self._cues = cues

    def for_episode(self, environment: Environment, task: Task, seed: int) -> Hints:
        """Return the hints of one episode, which the documents of the task's tools determine."""
        return _OfDocuments({tool.name: tool for tool in task.tools}, self._cues)


@dataclass(frozen=True, slots=True)
class _OfDocuments:
    documents: Mapping[str, ToolDocument]
    cues: bool

    def shown(self, tool: ToolDocument) -> ToolDocument:
        """Return the document, with cues if they are enabled."""
        return cued(tool) if self.cues else tool

    def hint(self, result: ToolResult, world: World) -> Hint | None:
        """Return a hint about a failed result whose call does not fit the documents, else None."""
        call = result.call
        if result.ok:
            return None
        if call.name not in world.tools:
            # Before the arguments: the agent has not read the document of a tool that is not offered.
            return _not_offered(call.name) if call.name in self.documents else _unknown_tool(call.name, world.tools)
        if call.name not in self.documents:
            return None
        fault = first_fault(self.documents[call.name].parameters, call.arguments)
        return None if fault is None else Hint(f"schema.{fault.kind}", HintKind.CONSTRAINT, _in_words(fault, call.name))


def _not_offered(tool: str) -> Hint:
    # A dependency in the method's sense: the call may be right, and something else has to come first. The other hints
    # are constraints, since the call itself has to be written differently.
    text = (
        f"`{tool}` cannot be called now, as it is not among the offered tools. See whether one of those does what is "
        "asked; if none does, tell the user."
    )
    return Hint("schema.not_offered", HintKind.DEPENDENCY, text)


def _unknown_tool(tool: str, offered: Iterable[str]) -> Hint:
    near = [f"`{name}`" for name in get_close_matches(shown(tool), sorted(offered))]
    direction = (
        f"The offered tools with the nearest names: {', '.join(near)}."
        if near
        else "Use those that are documented, or tell the user that none of them fits."
    )
    return Hint("schema.unknown_tool", HintKind.CONSTRAINT, f"'{shown(tool)}' is not the name of a tool. {direction}")


def _in_words(fault: DocumentFault, tool: str) -> str:
    where = f"'{shown(fault.place)}' of `{tool}`" if fault.place else f"`{tool}`"
    # A sentence with a documented value or bound does not name the tool: together they could be the right call.
    match fault.kind:
        case FaultKind.UNKNOWN_ARGUMENT:
            return _unknown_argument(where, fault)
        case FaultKind.MISSING_ARGUMENT:
            cause = f"{where} requires {quoted(fault.documented)}."
            return (
                f"{cause} Look in the conversation for what is missing; another tool may supply it, or else the user."
            )
        case FaultKind.WRONG_TYPE:
            given = TYPE_NAMES.get(type(fault.given), "a value")
            if given in fault.documented:
                return f"{where} has none of the forms in the tool's document. {READ_DOCUMENT}"
            return (
                f"{where} is documented as {' or '.join(fault.documented)}, and you gave {given}. Compare the types in "
                "the call with those in the tool's document."
            )
        case FaultKind.VALUE_NOT_ALLOWED:
            # All of them, and not the nearest one: that would choose for the agent, which the user's words should do.
            allowed = ", ".join(map(_json, fault.documented))
            few = len(fault.documented) <= MAX_VALUES
            return f"{where} cannot be {_json(fault.given)}. " + (
                f"The document allows these values: {allowed}." if few else "The document lists the values it allows."
            )
        case FaultKind.OUT_OF_BOUNDS:
            return f"{where} cannot be {_json(fault.given)}. By the document, it is {fault.documented[0]}."


def _unknown_argument(where: str, fault: DocumentFault) -> str:
    cause = f"{where} has no parameter '{shown(fault.given)}'."
    if not fault.documented:
        return f"{cause} The document has none at this place."
    near = get_close_matches(shown(fault.given), fault.documented)
    direction = f"The documented names nearest to it: {quoted(near)}." if near else READ_DOCUMENT
    return f"{cause} {direction}"


def _json(value: Any) -> str:
    return shown(json.dumps(value, ensure_ascii=False))
