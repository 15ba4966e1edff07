"""The twin: a second world that runs the ground truth of every turn, whatever the agent does.

Its results and states depend on the task alone, so one run serves all episodes of the task.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from envtune.environment.identity_cache import cached_by_identity
from envtune.environment.interface import Environment, World
from envtune.task import Task

# A rollout plays few tasks in many episodes each; a twin takes 10 to 100 kB.
MAX_TWINS = 256


@dataclass(frozen=True, slots=True)
class TwinTurn:
    """The twin after one turn. Read only."""

    results: Mapping[str, int]
    """How often the turn's ground-truth calls returned each text."""
    world: World


@cached_by_identity(MAX_TWINS)
def twin_turns(environment: Environment, task: Task) -> tuple[TwinTurn, ...]:
    """Return the twin after each turn of the task. Every tool of the task can be called from the start."""
    twin = environment.open(task)
    world = twin.copy()
    turns = []
    for turn in task.turns:
        results = Counter(twin.call(call).text for call in turn.ground_truth)
        if results:
            world = twin.copy()
        turns.append(TwinTurn(results, world))
    return tuple(turns)
