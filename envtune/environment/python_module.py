"""A Python module of the user as environment and source of tasks."""

from __future__ import annotations

import traceback
from collections.abc import Iterable
from functools import cache, partial
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

from envtune.checked import Count, Positive, checked
from envtune.environment.interface import Environment
from envtune.environment.isolation.isolated_environment import IsolatedEnvironment, Isolation, Megabytes
from envtune.errors import UserError
from envtune.task import Split, Task


@checked
def environment_of(
    module: str,
    isolation: Isolation = None,
    call_seconds: Positive = 10.0,
    call_megabytes: Megabytes = 1024,
    workers: Count = 4,
) -> Environment:
    """Return the object ``environment`` of a module.

    Args:
        module: the importable name of the module.
        isolation: ``process`` plays worlds in worker processes; the settings below apply to it alone.
        call_seconds: limit on the time of one call.
        call_megabytes: limit on the memory that one call adds.
        workers: the largest number of worker processes.

    Raises:
        UserError: the module cannot be imported, or ``environment`` is not an environment.
    """
    found = _member(module, "environment", "a PythonEnvironment or another object with `open` and hint tables")
    members = ("name", "rules", "non_answers", "covers_schema", "open", "domain_of")
    if missing := [name for name in members if not hasattr(found, name)]:
        raise UserError(
            f"environment.module={module}: its `environment` has the type {type(found).__name__}, without "
            f"`{missing[0]}`; assign envtune.environment.PythonEnvironment(YourClass) to it"
        )
    return found if isolation is None else _isolated(module, call_seconds, call_megabytes, workers)


# One environment, and so one set of workers, for the settings that name it several times.
@cache
def _isolated(module: str, seconds: float, megabytes: int, workers: int) -> IsolatedEnvironment:
    return IsolatedEnvironment(partial(environment_of, module), seconds, megabytes, workers)


class ModuleTasks:
    """The tasks that the function ``tasks(split)`` of a module returns or yields.

    Args:
        module: the importable name of the module.

    Raises:
        UserError: the module cannot be imported, or does not have the function.
    """

    def __init__(self, module: str) -> None:
        self._tasks = _member(module, "tasks", "a function of `split` that returns Tasks")
        self.place = f"the module {module}"
        if not callable(self._tasks):
            raise UserError(f"`tasks` of {self.place} is not a function: define tasks(split), which returns Tasks")

    def all_tasks(self, split: Split) -> Iterable[Task]:
        """Return every task of a split.

        Raises:
            UserError: the function failed.
        """
        try:
            tasks = self._tasks(split.value)
            if tasks is None:
                raise UserError(f"tasks({split.value!r}) of {self.place} returns None: return or yield its Tasks")
            return tuple(tasks)
        except UserError:
            raise
        except Exception as error:
            raise UserError(
                f"tasks({split.value!r}) of {self.place} fails ({_cause(error)}): correct it; it takes the name of a "
                "split, and returns or yields Tasks"
            ) from error


def _member(module: str, name: str, meaning: str) -> Any:
    imported = _imported(module)
    if not hasattr(imported, name):
        raise UserError(f"environment.module={module} has no `{name}`: define {meaning}")
    return getattr(imported, name)


def _imported(module: str) -> ModuleType:
    try:
        return import_module(module)
    except UserError as error:
        raise UserError(f"environment.module={module}: {error}") from error
    # A module of the user's may fail in any way, and end the process.
    except (Exception, SystemExit) as error:
        absent = isinstance(error, ModuleNotFoundError) and error.name is not None and module.startswith(error.name)
        found = "give the name of a module in the working directory or on PYTHONPATH, without .py"
        raise UserError(
            f"environment.module={module} cannot be imported ({_cause(error)}): {found if absent else 'correct it'}"
        ) from error


def _cause(error: BaseException) -> str:
    """Return an error in one line, with the place in the user's code where it was raised."""
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if Path(frame.filename).is_file()]
    own = [frame for frame in frames if Path(frame.filename) != Path(__file__) and "importlib" not in frame.filename]
    place = f" in {Path(own[-1].filename).name}, line {own[-1].lineno}" if own else ""
    return f"{type(error).__name__}{place}: {' '.join(str(error).split())}"
