"""The facts of BFCL's multi-turn check: does the agent's world equal the twin's, and has it seen what the twin saw.

Compared as the official checker compares (bfcl_eval, multi_turn_checker): every public attribute of every object; the
ground-truth calls' results of this turn as a sub-multiset of all results of the agent so far. Pure: changes nothing.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any, Protocol


class HasWorlds(Protocol):
    """A toolbox, or the twin after a turn."""

    @property
    def worlds(self) -> Mapping[str, Any]: ...


def judge_state(agent: HasWorlds, twin: HasWorlds) -> bool:
    """True if every public attribute of every world equals the twin's; private ones (the directory) do not count."""
    return all(_same_world(agent.worlds[name], world) for name, world in twin.worlds.items())


def judge_responses(seen: Counter[str], expected: Mapping[str, int]) -> bool:
    """True if each result of the ground truth was seen by the agent, as many times and in any order.

    ``seen`` counts the texts of all results that the agent has had so far, ``expected`` those of the turn's
    ground-truth calls.
    """
    return all(seen[text] >= count for text, count in expected.items())


def _same_world(agent: Any, twin: Any) -> bool:
    missing = object()
    try:
        for name, value in vars(twin).items():
            if name[0] != "_" and getattr(agent, name, missing) != value:
                return False
    except RecursionError:
        # Only worlds nested beyond the interpreter's stack get here, which no ground truth builds.
        return False
    return True
