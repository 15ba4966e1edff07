"""BFCL's tool classes, and the live objects of them that an episode starts with.

A task's worlds are loaded once, by BFCL's own code; every episode gets copies from a snapshot of that moment. So
episodes share no state, although BFCL's loading shares some (long-context worlds are built from the objects of a
module), and a copy takes a fraction of the time of loading. The snapshot is pickled and unpickled in this process and
never contains text of an agent.
"""

from __future__ import annotations

import copy
import io
import json
import pickle
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from random import Random
from types import MappingProxyType
from typing import Any

from bfcl_eval.constants.executable_backend_config import CLASS_FILE_PATH_MAPPING, STATELESS_CLASSES
from bfcl_eval.eval_checker.multi_turn_eval.func_source_code import long_context

from envtune.bfcl.category import Category
from envtune.bfcl.clock import with_fixed_time
from envtune.environment.identity_cache import cached_by_identity
from envtune.errors import UserError
from envtune.task import Task

TOOLBOXES = (
    "GorillaFileSystem",
    "MathAPI",
    "MessageAPI",
    "TwitterAPI",
    "TicketAPI",
    "TradingBot",
    "TravelAPI",
    "VehicleControlAPI",
)
# A snapshot takes 5 to 20 kB, and BFCL has 800 tasks.
MAX_SNAPSHOTS = 2_000

CLASSES = MappingProxyType(
    {name: with_fixed_time(getattr(import_module(CLASS_FILE_PATH_MAPPING[name]), name)) for name in TOOLBOXES}
)

# The JSON of the long lists of numbers in results of long-context worlds, by identity: BFCL returns the same objects
# every time, no tool changes them, and encoding them takes longer than the rest of an episode.
LONG_LISTS = MappingProxyType(
    {
        id(value): json.dumps(value)
        for value in vars(long_context).values()
        if type(value) is list and len(value) > 500 and type(value[0]) is float
    }
)


def new_worlds(task: Task) -> dict[str, Any]:
    """Return unshared live objects of the task's classes, in the task's initial state, by class.

    Raises:
        UserError: a class is unknown, or cannot load its initial state.
    """
    return _snapshot_of(task).restore()


def same_worlds(agent: Mapping[str, Any], twin: Mapping[str, Any]) -> bool:
    """Return True if every public attribute of every world equals the twin's; private ones are not compared.

    This is the comparison of bfcl_eval's ``multi_turn_checker``.
    """
    return all(_same_world(agent[name], world) for name, world in twin.items())


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


def copy_worlds(worlds: Mapping[str, Any]) -> dict[str, Any]:
    """Return unshared copies of worlds in their present state."""
    return Snapshot.of(worlds).restore()


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The state of worlds at one moment."""

    pickled: bytes
    """The attributes of each world. The worlds themselves cannot be pickled, because the subclasses with a fixed clock
    do not belong to a module."""
    generators: tuple[Any, ...]
    """The states of the random generators, kept apart because unpickling 625 numbers takes longer than the rest."""

    @classmethod
    def of(cls, worlds: Mapping[str, Any]) -> Snapshot:
        """Return a snapshot of worlds."""
        buffer = io.BytesIO()
        pickler = _Pickler(buffer)
        pickler.dump({name: vars(world) for name, world in worlds.items()})
        return cls(buffer.getvalue(), tuple(pickler.generators))

    def restore(self) -> dict[str, Any]:
        """Return new worlds in this state, by class."""
        worlds = {}
        for name, attributes in _Unpickler(self).load().items():
            world: Any = object.__new__(CLASSES[name])
            world.__dict__ = attributes
            worlds[name] = world
        return worlds


class _Pickler(pickle.Pickler):
    def __init__(self, buffer: io.BytesIO) -> None:
        super().__init__(buffer, pickle.HIGHEST_PROTOCOL)
        self.generators: list[Any] = []

    def persistent_id(self, value: Any) -> int | None:
        if type(value) is not Random:
            return None
        self.generators.append(value.getstate())
        return len(self.generators) - 1


class _Unpickler(pickle.Unpickler):
    def __init__(self, snapshot: Snapshot) -> None:
        super().__init__(io.BytesIO(snapshot.pickled))
        self._generators = snapshot.generators

    def persistent_load(self, place: int) -> Random:
        # Any seed: without one, a seed is drawn from the system, which takes longer.
        generator = Random.__new__(Random, 0)  # type: ignore[call-arg]
        generator.setstate(self._generators[place])
        return generator


@cached_by_identity(MAX_SNAPSHOTS)
def _snapshot_of(task: Task) -> Snapshot:
    return Snapshot.of({name: _loaded(name, task) for name in task.world.toolboxes})


def _loaded(name: str, task: Task) -> Any:
    if name not in CLASSES:
        raise UserError(f"toolbox {name!r} is unknown: use one of {', '.join(TOOLBOXES)}")
    world = CLASSES[name]()
    if name not in STATELESS_CLASSES:
        try:
            initial_state = copy.deepcopy(dict(task.world.initial_state.get(name, {})))
            world._load_scenario(initial_state, long_context=task.group == Category.LONG_CONTEXT)
        # BFCL's classes do not validate: a state from a user's file may fail in any way.
        except Exception as error:
            raise UserError(
                f"the initial state of {name} cannot be loaded ({type(error).__name__}: "
                f"{' '.join(str(error).split())}): give it the form that BFCL's tasks have"
            ) from error
    return world
