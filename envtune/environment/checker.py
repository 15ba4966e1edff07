"""The two comparisons of BFCL's multi-turn check: worlds with the twin's, results with the ground truth's.

They follow bfcl_eval's ``multi_turn_checker``: every public attribute of every object must be equal, and the results
of the turn's ground-truth calls must be a sub-multiset of all results of the agent so far. Nothing is changed.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any, Protocol


class HasWorlds(Protocol):
    """A toolbox, or the twin after a turn."""

    @property
    def worlds(self) -> Mapping[str, Any]:
        """The worlds by the names of their classes."""
        ...


def judge_state(agent: HasWorlds, twin: HasWorlds) -> bool:
    """Return True if every public attribute of every world equals the twin's; private ones are not compared."""
    return all(_same_world(agent.worlds[name], world) for name, world in twin.worlds.items())


def judge_responses(seen: Counter[str], expected: Mapping[str, int]) -> bool:
    """Return True if the agent has seen each ground-truth result, at least as many times and in any order.

    Args:
        seen: the number of times that the agent's calls so far returned each text.
        expected: the number of times that the turn's ground-truth calls returned each text.
    """
    return all(seen[text] >= count for text, count in expected.items())


def _same_world(agent: Any, twin: Any) -> bool:
    missing = object()
    try:
        for name, value in vars(twin).items():
            if name[0] != "_" and getattr(agent, name, missing) != value:
                return False
    except RecursionError:
        # Only worlds nested beyond the interpreter's stack, which ground truths do not build.
        return False
    return True
