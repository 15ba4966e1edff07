"""BFCL's tool classes, used as they are and never copied, and the live objects of them that an episode starts with.

A task's worlds are loaded once, by BFCL's own code; every episode then gets copies made from a snapshot of that
moment. So episodes share nothing, whatever BFCL's loading shares (long-context worlds are built from the objects of a
module), and a copy takes a fraction of the time of loading. The snapshot is a pickle of our own making in memory; no
text of an agent is ever in it.
"""

from __future__ import annotations

import copy
import pickle
from functools import lru_cache
from importlib import import_module
from types import MappingProxyType
from typing import Any

from bfcl_eval.constants.executable_backend_config import CLASS_FILE_PATH_MAPPING, STATELESS_CLASSES

from envtune.environment.clock import with_fixed_time
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
    worlds = {}
    for name, attributes in pickle.loads(_snapshot(_ByIdentity(task))).items():
        world = worlds[name] = CLASSES[name].__new__(CLASSES[name])
        world.__dict__ = attributes
    return worlds


class _ByIdentity:
    """A task as a key: tasks hold dicts, so they have no hash of their own. The key keeps its task alive."""

    def __init__(self, task: Task) -> None:
        self.task = task

    def __hash__(self) -> int:
        return id(self.task)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _ByIdentity) and other.task is self.task


@lru_cache(maxsize=MAX_SNAPSHOTS)
def _snapshot(key: _ByIdentity) -> bytes:
    """The attributes of each world by its class's name. Not the worlds themselves: a class made here has no module."""
    return pickle.dumps({name: vars(_loaded(name, key.task)) for name in key.task.toolboxes}, pickle.HIGHEST_PROTOCOL)


def _loaded(name: str, task: Task) -> Any:
    if name not in CLASSES:
        raise ValueError(f"toolbox {name!r} is unknown: use one of {', '.join(TOOLBOXES)}")
    world = CLASSES[name]()
    if name not in STATELESS_CLASSES:
        initial_state = copy.deepcopy(dict(task.initial_state.get(name, {})))
        world._load_scenario(initial_state, long_context=task.category is Category.LONG_CONTEXT)
    return world
