"""The tasks that BFCL's own program plays: its categories, groups of categories, and ids of single tasks."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from bfcl_eval.constants.category_mapping import ALL_CATEGORIES, TEST_COLLECTION_MAPPING

from envtune import trajectory_file
from envtune.bfcl.benchmark import package_data
from envtune.errors import UserError
from envtune.files.json_lines import read_objects

Ids = dict[str, list[str]]
"""The ids of tasks by category."""


def categories_of(names: Sequence[str]) -> list[str]:
    """Return the categories, with groups such as ``multi_turn`` and ``memory`` expanded.

    Raises:
        UserError: a name is neither a category nor a group.
    """
    for name in names:
        if name not in ALL_CATEGORIES and name not in TEST_COLLECTION_MAPPING:
            known = ", ".join([*TEST_COLLECTION_MAPPING, *ALL_CATEGORIES])
            raise UserError(f"category {name!r} is unknown to the official program: use some of {known}")
    return sorted({part for name in names for part in TEST_COLLECTION_MAPPING.get(name, [name])})


def first_ids(categories: Iterable[str], limit: int) -> Ids:
    """Return the ids of the first ``limit`` tasks of each category; of memory also the conversations that fill it.

    Raises:
        UserError: the tasks of a category are not in a file of their own.
    """
    return {category: _first_ids(category, limit) for category in categories}


def played_ids(path: Path) -> Ids:
    """Return the ids of all tasks in a trajectory file, by official category.

    Raises:
        UserError: the file cannot be read or has a line that is not a trajectory.
    """
    ids: dict[str, set[str]] = defaultdict(set)
    for record in trajectory_file.read(path):
        if not {"task_id", "category"} <= record.keys():
            raise UserError(f"{path} is not a file of trajectories: give a .jsonl file of a run or an evaluation")
        ids[f"multi_turn_{record['category']}"].add(record["task_id"])
    return {category: sorted(names) for category, names in ids.items()}


def _first_ids(category: str, limit: int) -> list[str]:
    family = next((name for name in ("memory", "web_search") if category.startswith(name)), category)
    path = package_data() / f"BFCL_v4_{family}.json"
    if not path.is_file():
        raise UserError(f"{category} has no list of tasks to choose from: play all of them")
    entries = list(read_objects(path, "tasks"))[:limit]
    filled: list[dict[str, Any]] = []
    if family == "memory":
        scenarios = sorted({entry["scenario"] for entry in entries})
        folder = package_data() / "memory_prereq_conversation"
        filled = [
            entry for scenario in scenarios for entry in read_objects(folder / f"memory_{scenario}.json", "tasks")
        ]
    # The memory backends share their questions, and so do the searches with and without snippets.
    return [entry["id"].replace(family, category, 1) for entry in [*filled, *entries]]
