"""BFCL's tool classes, used as they are and never copied, and the live objects of them that an episode starts with.

A task's worlds are loaded once, by BFCL's own code; every episode then gets copies made from a snapshot of that
moment. So episodes share nothing, whatever BFCL's loading shares (long-context worlds are built from the objects of a
module), and a copy takes a fraction of the time of loading. The snapshot is a pickle of our own making in memory; no
text of an agent is ever in it.
"""

from __future__ import annotations

import copy
import pickle
from collections.abc import Mapping
from importlib import import_module
from types import MappingProxyType
from typing import Any

from bfcl_eval.constants.executable_backend_config import CLASS_FILE_PATH_MAPPING, STATELESS_CLASSES

from envtune.environment.clock import with_fixed_time
from envtune.environment.task_cache import cached_by_task
from envtune.task import Category, Task

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
# A snapshot holds 5 to 20 kB: more than all of BFCL's tasks fit.
MAX_SNAPSHOTS = 2_000

CLASSES = MappingProxyType(
    {name: with_fixed_time(getattr(import_module(CLASS_FILE_PATH_MAPPING[name]), name)) for name in TOOLBOXES}
)


def new_worlds(task: Task) -> dict[str, Any]:
    """A live object of each of the task's classes, in the task's initial state, shared with nobody.

    Raises:
        ValueError: a class is unknown.
    """
    return _restored(_snapshot_of(task))


def copy_worlds(worlds: Mapping[str, Any]) -> dict[str, Any]:
    """The same worlds as they are now, as objects of their own."""
    return _restored(_snapshot(worlds))


@cached_by_task(MAX_SNAPSHOTS)
def _snapshot_of(task: Task) -> bytes:
    return _snapshot({name: _loaded(name, task) for name in task.toolboxes})


def _snapshot(worlds: Mapping[str, Any]) -> bytes:
    """The attributes of each world. Not the worlds themselves: a class that was made here belongs to no module."""
    return pickle.dumps({name: vars(world) for name, world in worlds.items()}, pickle.HIGHEST_PROTOCOL)


def _restored(snapshot: bytes) -> dict[str, Any]:
    worlds = {}
    for name, attributes in pickle.loads(snapshot).items():
        world: Any = object.__new__(CLASSES[name])
        world.__dict__ = attributes
        worlds[name] = world
    return worlds


def _loaded(name: str, task: Task) -> Any:
    if name not in CLASSES:
        raise ValueError(f"toolbox {name!r} is unknown: use one of {', '.join(TOOLBOXES)}")
    world = CLASSES[name]()
    if name not in STATELESS_CLASSES:
        initial_state = copy.deepcopy(dict(task.initial_state.get(name, {})))
        world._load_scenario(initial_state, long_context=task.category is Category.LONG_CONTEXT)
    return world
