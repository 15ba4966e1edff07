"""Ground truths as the actions of an agent: which calls share a response, and the words around them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from math import ceil
from typing import Literal

from envtune.checked import checked
from envtune.task import Task, UserTurn
from envtune.trajectory import FinalAnswer, ToolCalls

TOOLS = "{tools}"


@checked
@dataclass(frozen=True, slots=True)
class Demonstrator:
    """An agent that makes the calls of the ground truth and answers.

    The ground truth has no words: all turns of all tasks get the same ones.

    Args:
        calls: "single" makes one call in each response, or the fewest with which a turn keeps its step limit; "turn"
            makes all calls of a turn in one response.
        calling: the thought before calls; ``{tools}`` stands for the names of their tools.
        done, done_answer: thought and text of the answer that ends a turn after its calls.
        unable, unable_answer: thought and text of the answer to a turn without ground truth, which lacks a tool or a
            value.

    Raises:
        UserError: an argument is not allowed.
    """

    calls: Literal["single", "turn"] = "single"
    calling: str = "I call {tools}."
    done: str = "The calls are made."
    done_answer: str = "Done."
    unable: str = "A tool or a value is missing."
    unable_answer: str = "I cannot do this yet: please give me the missing tool or value."

    def actions(self, task: Task, step_limit: int) -> Iterator[ToolCalls | FinalAnswer]:
        """Yield the actions of all turns in their order; a turn has at most ``step_limit`` actions that call."""
        for turn in task.turns:
            yield from self._of_turn(turn, step_limit)

    def _of_turn(self, turn: UserTurn, step_limit: int) -> Iterator[ToolCalls | FinalAnswer]:
        due = turn.ground_truth
        if not due:
            yield FinalAnswer(self.unable, self.unable_answer)
            return
        size = len(due) if self.calls == "turn" else ceil(len(due) / step_limit)
        for start in range(0, len(due), size):
            together = due[start : start + size]
            names = ", ".join(dict.fromkeys(call.name for call in together))
            yield ToolCalls(self.calling.replace(TOOLS, names), together)
        yield FinalAnswer(self.done, self.done_answer)
