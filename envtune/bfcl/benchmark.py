"""The multi-turn tasks of the Berkeley Function Calling Leaderboard, from the files of the ``bfcl_eval`` package.

Of the package's code, only the table of tool documents is imported. Worlds in a user's own task files are loaded once
with its tool classes, so that an invalid world is reported when the file is read.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cache
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Any

from bfcl_eval.constants.executable_backend_config import MULTI_TURN_FUNC_DOC_FILE_MAPPING

from envtune.bfcl.audit.shipped_list import listed_tasks
from envtune.bfcl.category import CATEGORIES, Category
from envtune.bfcl.scenario import Scenario
from envtune.bfcl.split import SPLITS, draw_of_categories, named_split, task_id
from envtune.bfcl.worlds import new_worlds
from envtune.call_text import parse_call
from envtune.checked import Among, EachOnce, checked
from envtune.environment.selected_tasks import MaxTasks, ValidationSize
from envtune.errors import UserError
from envtune.files.json_lines import read_objects
from envtune.task import Split, Task, ToolDocument, UserTurn, require_split

# The type of a setting of task sources.
Categories = EachOnce[Annotated[str, Among(CATEGORIES)]]


@checked
class BFCL:
    """The benchmark's tasks in the splits train, val and test. The test split is the whole held-out side.

    Args:
        categories: the categories of training tasks; None for all four.
        split: the name of the split, ``scenario``, ``paper`` or ``seal``.
        split_seed: the seed of all draws.
        val_size: the number of validation tasks, drawn from the held-out side evenly over ``val_categories``.
        val_categories: the categories of validation tasks; None for all four.
        data_dir: a folder of task files (``BFCL_v4_multi_turn_<category>.json`` beside ``possible_answer/``) that
            replaces the package's.
        max_tasks: the number of training tasks, drawn evenly over ``categories``; None for all.
    """

    def __init__(
        self,
        categories: Categories | None = None,
        split: Annotated[str, Among(SPLITS)] = "scenario",
        split_seed: int = 0,
        val_size: ValidationSize = 100,
        val_categories: Categories | None = None,
        data_dir: str | None = None,
        max_tasks: MaxTasks = None,
    ) -> None:
        self._categories = tuple(map(Category, CATEGORIES if categories is None else categories))
        self._split, self._split_seed = split, split_seed
        self._sides = named_split(split, split_seed)
        val = tuple(map(Category, CATEGORIES if val_categories is None else val_categories))
        self._validation = draw_of_categories(self._sides.held_out, val, val_size, split_seed, "data.val_size")
        self._trained = self._sides.train
        if max_tasks is not None:
            self._trained = frozenset(
                draw_of_categories(self._sides.train, self._categories, max_tasks, split_seed, "data.max_tasks")
            )
        self._data_dir = data_dir
        self._loaded: tuple[Task, ...] = ()

    def tasks(self, split: Split) -> tuple[Task, ...]:
        """Return the tasks of one split, in the benchmark's order.

        Raises:
            UserError: the split is unknown, or a line of the task files is not valid.
        """
        split = require_split(split)
        if split is Split.TRAIN:
            return tuple(task for task in self._all() if task.id in self._trained and task.group in self._categories)
        chosen = frozenset(self._validation) if split is Split.VAL else self._sides.held_out
        return tuple(task for task in self._all() if task.id in chosen)

    def describe(self) -> dict[str, Any]:
        """Return the versions, split, seed and tasks that scores must share to be comparable."""
        return {
            "benchmark": "bfcl multi-turn",
            "package": f"bfcl-eval {version('bfcl-eval')}",
            "categories": [str(category) for category in self._categories],
            "split": self._split,
            "split_seed": self._split_seed,
            "training_tasks": [task.id for task in self.tasks(Split.TRAIN)],
            "validation_tasks": list(self._validation),
        }

    def left_out(self) -> frozenset[str]:
        """Return the ids on the shipped list of defective tasks."""
        return listed_tasks()

    def _all(self) -> tuple[Task, ...]:
        if not self._loaded:
            self._loaded = load_bfcl_tasks(data_dir=self._data_dir)
        return self._loaded


@checked
def load_bfcl_tasks(categories: Categories = CATEGORIES, data_dir: str | None = None) -> tuple[Task, ...]:
    """Return every task of the categories, in the order of the files.

    Raises:
        UserError: a category is unknown, a file cannot be read, or a line is not a valid task.
    """
    folder = package_data() if data_dir is None else Path(data_dir)
    return tuple(task for category in map(Category, categories) for task in _tasks_of(category, folder))


def package_entries() -> dict[str, dict[str, Any]]:
    """Return every entry of the installed package by id, in the form of the files with its ``ground_truth``."""
    return {entry["id"]: entry for category in Category for _, entry in _entries_of(category, package_data())}


def package_data() -> Path:
    """Return the data folder of the installed package without importing the package."""
    spec = find_spec("bfcl_eval")
    if spec is None or not spec.submodule_search_locations:
        raise ModuleNotFoundError("bfcl_eval is not installed: run 'pip install --no-deps bfcl-eval'")
    return Path(spec.submodule_search_locations[0]) / "data"


@cache
def tool_documents(toolbox: str) -> tuple[ToolDocument, ...]:
    """Return the documents of a tool class.

    Raises:
        KeyError: the class is unknown.
    """
    path = package_data() / "multi_turn_func_doc" / MULTI_TURN_FUNC_DOC_FILE_MAPPING[toolbox]
    return tuple(
        ToolDocument(entry["name"], entry["description"], entry["parameters"], entry["response"], toolbox)
        for entry in read_objects(path, "tool documents")
    )


def make_task(category: Category, entry: Mapping[str, Any]) -> Task:
    """Return the task of an entry of the files, which includes its ``ground_truth``.

    Raises:
        KeyError: a field is missing, or a tool class is unknown.
        ValueError, TypeError, AttributeError: a field is not in the form of the files.
    """
    toolboxes = tuple(entry["involved_classes"])
    tools = tuple(document for toolbox in toolboxes for document in tool_documents(toolbox))
    withheld = {int(turn): tuple(names) for turn, names in entry.get("missed_function", {}).items()}
    _check_turns(len(entry["question"]), len(entry["ground_truth"]), withheld, {tool.name for tool in tools})
    parameters = {tool.name: tuple(tool.parameters["properties"]) for tool in tools}
    turns = tuple(
        UserTurn(
            "\n".join(message["content"] for message in messages),
            tuple(parse_call(text, parameters) for text in calls),
            withheld.get(index, ()),
        )
        for index, (messages, calls) in enumerate(zip(entry["question"], entry["ground_truth"], strict=True))
    )
    scenario = int(entry["id"].rpartition("_")[2])
    if entry["id"] != task_id(category, scenario):
        raise ValueError(f"the id {entry['id']!r} is not an id of category {category}")
    world = Scenario(scenario, toolboxes, dict(entry["initial_config"]))
    return Task(entry["id"], str(category), world, turns, tools)


def _tasks_of(category: Category, folder: Path) -> Iterator[Task]:
    for place, entry in _entries_of(category, folder):
        try:
            task = make_task(category, entry)
            # The package's own worlds are known to load.
            if folder != package_data():
                new_worlds(task)
            yield task
        except KeyError as error:
            raise UserError(f"{place}: {error} is missing or unknown") from None
        except (ValueError, TypeError, AttributeError) as error:
            raise UserError(f"{place}: {error}") from None


def _entries_of(category: Category, folder: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the entries of a category with their ``ground_truth``, each after its file and line."""
    name = f"BFCL_v4_multi_turn_{category}.json"
    answers = {entry.get("id"): entry for entry in read_objects(folder / "possible_answer" / name, "tasks")}
    for number, entry in enumerate(read_objects(folder / name, "tasks"), start=1):
        place = f"{folder / name}, line {number}"
        try:
            yield place, entry | {"ground_truth": answers[entry["id"]]["ground_truth"]}
        except KeyError as error:
            raise UserError(f"{place}: {error} is missing or unknown") from None


def _check_turns(questions: int, answers: int, withheld: dict[int, tuple[str, ...]], tools: set[str]) -> None:
    if questions != answers or not questions:
        raise ValueError(f"{questions} user turns do not match {answers} turns of ground truth")
    for turn, names in withheld.items():
        if not 0 < turn < questions or not tools.issuperset(names):
            raise ValueError(f"turn {turn} cannot hand over {', '.join(names)}")
