"""Tasks of one or two turns on BFCL's own tools, to audit."""

from __future__ import annotations

from typing import Any

from envtune.bfcl.benchmark import tool_documents
from envtune.bfcl.category import Category
from envtune.bfcl.scenario import Scenario
from envtune.task import Task, ToolCall, UserTurn


def task(
    *turns: UserTurn,
    category: Category = Category.BASE,
    toolbox: str = "TicketAPI",
    state: dict[str, Any] | None = None,
) -> Task:
    name = f"multi_turn_{category}_7"
    return Task(name, category, Scenario(7, (toolbox,), {toolbox: state or {}}), turns, tool_documents(toolbox))


def call(name: str, **arguments: Any) -> ToolCall:
    return ToolCall(name, arguments)


def turn(message: str, *calls: ToolCall, new_tools: tuple[str, ...] = ()) -> UserTurn:
    return UserTurn(message, calls, new_tools)
