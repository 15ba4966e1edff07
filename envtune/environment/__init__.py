"""Playing and judging episodes: tools and their limits, augmentation, verdicts. Facts only, no scores.

What a module with an environment of its own needs can be imported from here.
"""

from envtune.environment.augmentation.rule import Rule
from envtune.environment.python_world import PythonEnvironment
from envtune.task import Task, UserTurn, call

__all__ = ["PythonEnvironment", "Rule", "Task", "UserTurn", "call"]
