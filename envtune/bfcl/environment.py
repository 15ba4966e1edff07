"""BFCL's multi-turn tools as an environment."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache

from envtune.bfcl.benchmark import tool_documents
from envtune.bfcl.hints.tables import NON_ANSWERS, RULES
from envtune.bfcl.toolbox import Toolbox
from envtune.bfcl.worlds import TOOLBOXES
from envtune.task import Task


class BFCLEnvironment:
    """The tools of BFCL's multi-turn tasks, with hint tables for them."""

    name = "bfcl"
    rules = RULES
    non_answers = NON_ANSWERS
    # envtune/bfcl/hints/python_errors.py. Hints from documents besides would change scores.
    covers_schema = True
    # BFCL's checker passes a turn without ground truth whatever the agent did.
    judges_answers = False

    def open(self, task: Task) -> Toolbox:
        """Return the tools of a task on live worlds in the task's initial state."""
        return Toolbox(task)

    def domain_of(self, tool: str) -> str | None:
        """Return the name of the class that has the tool."""
        return _domains().get(tool)


BFCL_ENVIRONMENT = BFCLEnvironment()


@cache
def _domains() -> Mapping[str, str]:
    return {tool.name: toolbox for toolbox in TOOLBOXES for tool in tool_documents(toolbox)}
