"""The hints of BFCL's tables, which depend on the result and the world alone, so that any task serves."""

from __future__ import annotations

from envtune.bfcl.environment import BFCL_ENVIRONMENT
from envtune.bfcl.scenario import Scenario
from envtune.environment.augmentation import Hints
from envtune.environment.augmentation.actionable import Actionable
from envtune.task import Task

ANY_TASK = Task("any", "base", Scenario(0, (), {}), ())


def hints_of(*kinds: str) -> Hints:
    """The hints of some kinds."""
    return Actionable(kinds).for_episode(BFCL_ENVIRONMENT, ANY_TASK, seed=0)


HINTS = hints_of("dependency", "constraint")
