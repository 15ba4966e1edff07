"""The twin of an episode: a second toolbox that runs the ground truth, turn after turn, whatever the agent does.

What it does depends on the task alone, so that one run serves all episodes of the task: what each turn's calls
returned, and the worlds after each turn, for reading only.
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

# A rollout plays few tasks in many episodes; a twin holds 10 to 100 kB.
MAX_TWINS = 256


@dataclass(frozen=True, slots=True)
class TwinTurn:
    """After one turn: how often its ground-truth calls returned each text, and every world by its class's name."""

    results: Mapping[str, int]
    worlds: Mapping[str, Any]


@cached_by_task(MAX_TWINS)
def twin_turns(task: Task) -> tuple[TwinTurn, ...]:
    """All turns of the task as the twin played them, with every documented tool offered from the start."""
    twin = Toolbox(task)
    worlds: Mapping[str, Any] = copy_worlds(twin.worlds)
    turns = []
    for turn in task.turns:
        results = Counter(twin.call(call).text for call in turn.ground_truth)
        if results:
            worlds = copy_worlds(twin.worlds)
        turns.append(TwinTurn(results, worlds))
    return tuple(turns)
