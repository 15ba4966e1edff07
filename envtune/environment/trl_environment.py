"""A class written for TRL's ``environment_factory`` as an environment (TRL 1.16).

``reset(**row)`` starts an episode and may return a text that is appended to the prompt; ``get_reward()`` judges the end
of the episode; the other public methods are tools.
"""

from __future__ import annotations

import copy
import functools
import inspect
import pkgutil
import random
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from envtune.checked import Count, Positive, checked
from envtune.environment.interface import Environment
from envtune.environment.isolation.isolated_environment import IsolatedEnvironment, Isolation, Megabytes
from envtune.environment.python_tools import tools_of
from envtune.environment.trl_world import GET_REWARD, TRLWorld
from envtune.errors import UserError
from envtune.task import Task, ToolDocument

RESET = "reset"
PROMPT = "prompt"


class TRLEnvironment:
    """A TRL environment class, with tasks whose worlds are rows of a data set.

    Python's and NumPy's global random numbers are seeded by the task's id while an object is made and reset, so that a
    class that draws its own task there draws the same one in every episode of the task.

    Args:
        factory: the class, or a function that returns an object of it; called without arguments.

    Raises:
        UserError: the class has no ``reset`` or ``get_reward``, or a public method cannot be a tool.
    """

    judges_answers = True
    covers_schema = False
    rules = non_answers = ()

    def __init__(self, factory: Callable[[], Any]) -> None:
        self._factory, self._cls = factory, factory if isinstance(factory, type) else type(factory())
        self.name = self._cls.__name__
        for method, remedy in (
            (RESET, f"define {RESET}(self, **row)"),
            (GET_REWARD, "define it, with a number in [0, 1]: reward functions of TRL's trainer do not apply here"),
        ):
            if not callable(found := getattr(self._cls, method, None)):
                raise UserError(f"{self.name} has no {method}(): {remedy}")
            if inspect.iscoroutinefunction(found):
                raise UserError(f"{self.name}.{method} is asynchronous: it must return its value when it is called")
        self._tools = tools_of(self._cls, frozenset({RESET, GET_REWARD}))
        takes = inspect.signature(getattr(self._cls, RESET)).parameters
        self._takes_prompt = PROMPT in takes or any(kind.kind is kind.VAR_KEYWORD for kind in takes.values())

    @property
    def documents(self) -> tuple[ToolDocument, ...]:
        """The documents of all tools, in the order of their definition."""
        return tuple(tool.document for tool in self._tools.values())

    def open(self, task: Task) -> TRLWorld:
        """Return a world with a new object after ``reset(**task.world)``.

        Raises:
            UserError: the object cannot be made or reset.
        """
        begin = functools.partial(self._begun, task)
        return TRLWorld(begin, {tool.name: self._tools[tool.name] for tool in task.tools})

    def domain_of(self, tool: str) -> str | None:
        """Return the name of the class."""
        return self.name if tool in self._tools else None

    def _begun(self, task: Task) -> tuple[Any, str]:
        row = copy.deepcopy(dict(task.world))
        if not self._takes_prompt:
            row.pop(PROMPT, None)
        try:
            with _seeded(task.id):
                instance = self._factory()
                opening = instance.reset(**row)
        except Exception as error:  # methods of the user's
            raise UserError(
                f"task {task.id}: {self.name}.{RESET} with the columns {', '.join(row) or '(none)'} fails: "
                f"{type(error).__name__}: {' '.join(str(error).split())}"
            ) from error
        if not isinstance(opening, str | None):
            raise UserError(
                f"task {task.id}: {self.name}.{RESET} returns a {type(opening).__name__}: return the text that is "
                "appended to the prompt, or None"
            )
        return instance, opening or ""


@checked
def trl_environment_of(
    factory: str,
    isolation: Isolation = None,
    call_seconds: Positive = 10.0,
    call_megabytes: Megabytes = 1024,
    workers: Count = 4,
) -> Environment:
    """Return the environment of a TRL class, which is made once.

    Args:
        factory: the importable name of the class or function, such as ``my_env.MyEnv``.
        isolation: as for ``module.environment_of``, with the three settings below it.
    """
    if isolation is None:
        return _environment(factory)
    return _isolated(factory, call_seconds, call_megabytes, workers)


@functools.cache
def _environment(factory: str) -> TRLEnvironment:
    try:
        found = pkgutil.resolve_name(factory)
    # A module of the user may fail in any way.
    except Exception as error:
        raise UserError(
            f"environment.factory={factory} cannot be imported ({type(error).__name__}: "
            f"{' '.join(str(error).split())}): give MODULE.CLASS, of a module in the working directory or on PYTHONPATH"
        ) from error
    if not callable(found):
        raise UserError(f"environment.factory={factory} is a {type(found).__name__}: name a class or a function")
    return TRLEnvironment(found)


# One environment, and so one set of workers, for the settings that name it several times.
@functools.cache
def _isolated(factory: str, seconds: float, megabytes: int, workers: int) -> IsolatedEnvironment:
    return IsolatedEnvironment(functools.partial(_environment, factory), seconds, megabytes, workers)


@contextmanager
def _seeded(name: str) -> Iterator[None]:
    """Seed the global random numbers by a name in the block, and restore their state after it."""
    seed, states = zlib.crc32(name.encode()), (random.getstate(), np.random.get_state())
    random.seed(seed)
    np.random.seed(seed)
    try:
        yield
    finally:
        random.setstate(states[0])
        np.random.set_state(states[1])
