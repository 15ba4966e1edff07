"""The facts of BFCL's multi-turn check: does the agent's world equal the twin's, and has it seen what the twin saw.

Compared as the official checker compares (bfcl_eval, multi_turn_checker): every public attribute of every object; the
ground-truth calls' results of this turn as a sub-multiset of all results of the agent so far. Pure: changes nothing.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

from envtune.environment.toolbox import Toolbox


def judge_state(agent: Toolbox, twin: Toolbox) -> bool:
    """True if every public attribute of every world equals the twin's; private ones (the directory) do not count."""
    return all(_same_world(agent.worlds[name], world) for name, world in twin.worlds.items())


def judge_responses(agent_results: Sequence[str], ground_truth_results: Sequence[str]) -> bool:
    """True if each ground-truth result is among the agent's, as many times and in any order."""
    return not Counter(ground_truth_results) - Counter(agent_results)


def _same_world(agent: Any, twin: Any) -> bool:
    missing = object()
    try:
        return all(
            getattr(agent, name, missing) == value for name, value in vars(twin).items() if not name.startswith("_")
        )
    except RecursionError:
        # Only worlds nested beyond the interpreter's stack get here, which no ground truth builds.
        return False
