"""BFCL's own executor and checker as the reference: one trajectory in, its verdicts out.

The official program keeps worlds in module globals, shares the default lists of ``post_tweet`` among all of them, and
builds long-context worlds from objects of a module. ``isolated`` closes these leaks, so that the reference judges each
trajectory as if it were the first one of a process, with a twin that does not see what the agent did.
"""

from __future__ import annotations

import copy
import itertools
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from typing import Any

from bfcl_eval.constants.executable_backend_config import CLASS_FILE_PATH_MAPPING, STATELESS_CLASSES
from bfcl_eval.eval_checker.multi_turn_eval import multi_turn_utils
from bfcl_eval.eval_checker.multi_turn_eval.multi_turn_checker import (
    multi_turn_checker,
    response_checker,
    state_checker,
)
from bfcl_eval.eval_checker.multi_turn_eval.multi_turn_utils import execute_multi_turn_func_call

from envtune.bfcl.benchmark import package_data
from envtune.bfcl.worlds import TOOLBOXES

Turns = list[list[list[str]]]
"""[turn][step][call string]."""

_trajectory_numbers = itertools.count()


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of the benchmark's files, and its ground truth by turn."""

    fields: dict[str, Any]
    ground_truth: list[list[str]]

    @property
    def id(self) -> str:
        return self.fields["id"]


def entries(category: str) -> list[Entry]:
    name = f"BFCL_v4_multi_turn_{category}.json"
    tasks = (package_data() / name).read_text(encoding="utf-8").splitlines()
    answers = (package_data() / "possible_answer" / name).read_text(encoding="utf-8").splitlines()
    pairs = zip(tasks, answers, strict=True)
    return [Entry(json.loads(task), json.loads(answer)["ground_truth"]) for task, answer in pairs]


def verdict(entry: Entry, turns: Turns) -> bool:
    """What ``multi_turn_checker`` says of the whole trajectory; False where it raises."""
    with fresh_name() as name:
        try:
            return multi_turn_checker(turns, entry.ground_truth, entry.fields, "multi_turn", name)["valid"]
        except RecursionError:
            return False


def turn_verdicts(entry: Entry, turns: Turns) -> list[tuple[bool, bool]]:
    """(state, response) of every turn, by the official parts; the official whole stops at the first failure."""
    with fresh_name() as name:
        verdicts, seen = [], []
        for index, (steps, truth) in enumerate(zip(turns, entry.ground_truth, strict=True)):
            for step in [*steps, []]:
                results, agent = execute(entry, step, name)
                seen.extend(results)
            expected, twin = execute(entry, truth, f"{name}_ground_truth")
            state = state_checker(agent, twin)["valid"]
            response = response_checker(list(seen), expected, index)["valid"]
            verdicts.append((state, response))
        return verdicts


def execute(entry: Entry, calls: list[str], name: str) -> tuple[list[str], dict[str, Any]]:
    """The results of the calls, and the worlds kept under ``name``, by the official executor."""
    fields = entry.fields
    long_context = "long_context" in entry.id
    return execute_multi_turn_func_call(
        calls, fields["initial_config"], fields["involved_classes"], name, entry.id, long_context, is_evaL_run=True
    )


@contextmanager
def fresh_name() -> Iterator[str]:
    """A name no trajectory had before; the worlds kept under it are dropped afterwards."""
    before = set(vars(multi_turn_utils))
    try:
        yield f"parity{next(_trajectory_numbers)}"
    finally:
        for added in set(vars(multi_turn_utils)) - before:
            delattr(multi_turn_utils, added)


@contextmanager
def isolated() -> Iterator[None]:
    """Within it, worlds of the official program share nothing with each other."""
    classes = {name: getattr(import_module(CLASS_FILE_PATH_MAPPING[name]), name) for name in TOOLBOXES}
    twitter = classes["TwitterAPI"]
    patched = [(twitter, "post_tweet", _with_own_defaults(twitter.post_tweet))]
    stateful = (cls for name, cls in classes.items() if name not in STATELESS_CLASSES)
    patched += [(cls, "_load_scenario", _with_own_copy(cls._load_scenario)) for cls in stateful]
    originals = [(cls, name, getattr(cls, name)) for cls, name, _ in patched]
    for cls, name, function in patched:
        setattr(cls, name, function)
    try:
        yield
    finally:
        for cls, name, function in originals:
            setattr(cls, name, function)


def _with_own_defaults(post_tweet: Callable[..., Any]) -> Callable[..., Any]:
    def post(self: Any, *arguments: Any, **named: Any) -> Any:
        post_tweet.__defaults__ = ([], [])
        return post_tweet(self, *arguments, **named)

    return post


def _with_own_copy(load: Callable[..., None]) -> Callable[..., None]:
    def load_scenario(self: Any, *arguments: Any, **named: Any) -> None:
        load(self, *arguments, **named)
        self.__dict__.update(copy.deepcopy(self.__dict__))

    return load_scenario
