"""Tasks of one or two turns on BFCL's own tools, to audit."""

from __future__ import annotations

from typing import Any

from envtune.data.bfcl import tool_documents
from envtune.task import Category, Task, ToolCall, UserTurn


def task(
    *turns: UserTurn,
    category: Category = Category.BASE,
    toolbox: str = "TicketAPI",
    state: dict[str, Any] | None = None,
) -> Task:
    name = f"multi_turn_{category}_7"
    return Task(name, category, 7, (toolbox,), {toolbox: state or {}}, tool_documents(toolbox), turns)


def call(name: str, **arguments: Any) -> ToolCall:
    return ToolCall(name, arguments)


def turn(message: str, *calls: ToolCall, new_tools: tuple[str, ...] = ()) -> UserTurn:
    return UserTurn(message, calls, new_tools)
