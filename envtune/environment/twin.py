"""The twin: a second toolbox that runs the ground truth of every turn, whatever the agent does.

Its results and worlds depend on the task alone, so one run serves all episodes of the task.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from envtune.environment.task_cache import cached_by_task
from envtune.environment.toolbox import Toolbox
from envtune.environment.worlds import copy_worlds
from envtune.task import Task

# A rollout plays few tasks in many episodes each; a twin takes 10 to 100 kB.
MAX_TWINS = 256


@dataclass(frozen=True, slots=True)
class TwinTurn:
    """The twin after one turn. Read only."""

    results: Mapping[str, int]
    """How often the turn's ground-truth calls returned each text."""
    worlds: Mapping[str, Any]
    """Every world by the name of its class."""


@cached_by_task(MAX_TWINS)
def twin_turns(task: Task) -> tuple[TwinTurn, ...]:
    """Return the twin after each turn of the task. Every documented tool can be called from the start."""
    twin = Toolbox(task)
    worlds: Mapping[str, Any] = copy_worlds(twin.worlds)
    turns = []
    for turn in task.turns:
        results = Counter(twin.call(call).text for call in turn.ground_truth)
        if results:
            worlds = copy_worlds(twin.worlds)
        turns.append(TwinTurn(results, worlds))
    return tuple(turns)
